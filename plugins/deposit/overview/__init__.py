"""What goes on, at one look: champion, releases, verdicts, reports. Needs no model library, and no Airflow."""
