"""`POST /rank`: the marketing department's list in, the same list ranked by expected value out."""

from serving.ranking.handler import Ranking
from serving.ranking.workbooks import Workbooks

__all__ = ["Ranking", "Workbooks"]
