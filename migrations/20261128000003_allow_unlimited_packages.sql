-- A package without a limit has none: `null` instead of a number that is hoped to be large enough. No adjustment makes it
-- finite, no threshold is reached, and only its time ends it.
alter table telecom.package alter column traffic_limit_bytes drop not null;
