"""A Tableau and a Snowflake to try the rotation against, on this machine, as real HTTP servers."""
