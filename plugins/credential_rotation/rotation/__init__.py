"""The steps of a rotation, as plain functions over plain values. Knows no Airflow and no HTTP."""
