-- What renew_snowflake_pat needs in Snowflake. Run it once as a role that may do all of this (SECURITYADMIN and the owner of
-- the users); running it again changes nothing. Replace what is in <...>.
--
-- https://docs.snowflake.com/en/user-guide/programmatic-access-tokens

-- 1. Who rotates: a service user with a key pair, and a role for it.
CREATE ROLE IF NOT EXISTS TABLEAU_TOKEN_ROTATOR;
CREATE USER IF NOT EXISTS TABLEAU_TOKEN_ROTATION
  TYPE = SERVICE
  DEFAULT_ROLE = TABLEAU_TOKEN_ROTATOR
  COMMENT = 'Renews the tokens that Tableau embeds';
ALTER USER TABLEAU_TOKEN_ROTATION SET RSA_PUBLIC_KEY = '<public key, without its first and last line>';
GRANT ROLE TABLEAU_TOKEN_ROTATOR TO USER TABLEAU_TOKEN_ROTATION;

-- 2. From where: Tableau's addresses and Airflow's. A service user needs a network policy to have a token at all, and a
--    sign-in from Airflow does not show that Tableau is let in.
--    Tableau Cloud: https://help.tableau.com/current/pro/desktop/en-us/publish_tableau_online_ip_authorization.htm
CREATE NETWORK POLICY IF NOT EXISTS TABLEAU_AND_AIRFLOW
  ALLOWED_IP_LIST = ('<addresses of your Tableau>', '<addresses of your Airflow>');

-- 3. How: only where an authentication policy limits the methods; tokens must be among them.
-- CREATE AUTHENTICATION POLICY IF NOT EXISTS <database>.<schema>.TABLEAU_TOKENS
--   AUTHENTICATION_METHODS = ('PROGRAMMATIC_ACCESS_TOKEN')
--   PAT_POLICY = (MAX_EXPIRY_IN_DAYS = 365);
-- ALTER USER <TABLEAU_USER> SET AUTHENTICATION POLICY <database>.<schema>.TABLEAU_TOKENS;

-- 4. For each Snowflake user that Tableau embeds:
CREATE USER IF NOT EXISTS <TABLEAU_USER> TYPE = SERVICE DEFAULT_ROLE = <TABLEAU_ROLE>;
GRANT ROLE <TABLEAU_ROLE> TO USER <TABLEAU_USER>;
ALTER USER <TABLEAU_USER> SET NETWORK_POLICY = TABLEAU_AND_AIRFLOW;
GRANT MODIFY PROGRAMMATIC AUTHENTICATION METHODS ON USER <TABLEAU_USER> TO ROLE TABLEAU_TOKEN_ROTATOR;

-- 5. Its first token, whose secret is shown once: it goes into the password of the Airflow connection. Not to be run again:
--    the name is taken then. (With IF NOT EXISTS, Snowflake would succeed and show no secret.)
-- ALTER USER <TABLEAU_USER> ADD PROGRAMMATIC ACCESS TOKEN TABLEAU
--   ROLE_RESTRICTION = '<TABLEAU_ROLE>' DAYS_TO_EXPIRY = 90;

-- 6. A look at what there is.
SHOW USER PROGRAMMATIC ACCESS TOKENS FOR USER <TABLEAU_USER>;
