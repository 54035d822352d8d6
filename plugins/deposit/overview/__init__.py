"""The page *Deposit* in Airflow: the state of the system, its months, and buttons that trigger DAGs."""
