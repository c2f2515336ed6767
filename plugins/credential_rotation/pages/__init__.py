"""HTML: the report of a run, as a file of its own and as a page in the Airflow UI."""
