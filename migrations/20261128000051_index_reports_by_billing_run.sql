-- no-transaction
-- The reports of a run: reconcile-usage folds them again.
create index concurrently if not exists usage_report_billing_run_idx on telecom.usage_report (billing_run_id)
    where billing_run_id is not null;
