"""What is shown of all Snowflake users and Tableau sites together, over many runs. Nothing here steers a run."""
