-- no-transaction
-- Two users with the same secret would be one user for node software. Random secrets differ, but administrators may set one.
create unique index concurrently if not exists node_user_secret_key on telecom.node_user (secret);
