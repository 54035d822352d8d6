"""How the parts of the compose file reach each other: names of its services, and their ports."""

POSTGRES = "postgres:5432"
STORE = "http://object-store:9000"
MLFLOW = "http://mlflow:5000"
API = "http://gateway:8001"
REDIS = "redis:6379"
