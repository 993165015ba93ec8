-- The id that the collector gave a report, where `report_id` was already used by a report of another server. The key of a
-- report is its server and this id. `report_id` stays unique because the previous version of the code relies on it.
alter table telecom.usage_report
    add column collector_report_id uuid,
    -- SQS's `SenderId`: the principal that sent the message. Null if the queue did not provide it.
    add column sender_id text;
