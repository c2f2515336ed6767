"""Rotates the Snowflake programmatic access token that Tableau content embeds."""
