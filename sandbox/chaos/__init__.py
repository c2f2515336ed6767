"""Everything goes wrong at once in an Airflow and a Tableau, and nothing may be lost."""
