"""Tableau's REST API: requests, typed answers, errors, and one session shared by many processes. Knows no Airflow."""
