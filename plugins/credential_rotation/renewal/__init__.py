"""The renewal of tokens in Snowflake: what to do with a user's token, step by step. Knows nothing of Airflow."""
