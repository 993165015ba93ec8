-- The X-Ray trace header of what caused a report, so that the billing run can continue or link its
-- trace.
alter table telecom.usage_report
    add column trace text;
