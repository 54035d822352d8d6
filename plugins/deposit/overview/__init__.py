"""The page *Deposit* in Airflow: what stands, month by month, and buttons that trigger the DAGs."""
