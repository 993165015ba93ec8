-- Administrators list drifts page by page, newest first, which needs an order without ties.
alter table telecom.usage_drift add column id bigint generated always as identity;

-- When the numbers were first found to differ. `found_at` is when these differences were found. Null if the previous version of
-- the code recorded the drift, which knows `found_at` only.
alter table telecom.usage_drift add column first_found_at timestamptz;
