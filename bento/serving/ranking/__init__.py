"""`POST /rank`: takes a list of customers and returns it ranked by expected value."""

from serving.ranking.handler import Ranking
from serving.ranking.workbooks import Workbooks

__all__ = ["Ranking", "Workbooks"]
