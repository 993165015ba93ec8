-- One row: what belongs to no source.
create table collector (
    one integer primary key check (one = 1),
    server_id integer not null,
    -- Increases with each round of readings.
    rounds integer not null default 0,
    -- The wall clock at the last readings. Null if it was not to be trusted.
    read_at_ms integer,
    -- The end of the last report's period, at which the next one starts.
    period_end_ms integer,
    -- The last clocks that were trusted.
    trusted_wall_ms integer,
    trusted_monotonic_ms integer,
    trusted_boot text,
    -- What was accepted since the installation, and how sending fails now.
    sent_reports integer not null default 0,
    sent_upload integer not null default 0,
    sent_download integer not null default 0,
    sent_at_ms integer,
    failing_since_ms integer,
    failure text,
    token_rejected integer not null default 0
) strict;

create table source (
    name text primary key,
    -- Another address or file is another source.
    identity text not null,
    added_wall_ms integer not null,
    added_monotonic_ms integer not null,
    added_boot text not null,
    -- JSON of the start of the process that counts. Null if it is not known.
    start text,
    -- Null until the first reading, which is the baseline.
    read_at_ms integer,
    restarts integer not null default 0,
    fallen_counters integer not null default 0,
    error text,
    error_since_ms integer,
    warning text
) strict;

-- The values at the last reading.
create table counter (
    source text not null,
    key text not null,
    name text not null,
    upload integer not null,
    download integer not null,
    primary key (source, key)
) strict, without rowid;

-- What was counted and is in no report yet. Rows of unknown names stay until they are known.
create table pending (
    source text not null,
    name text not null,
    upload integer not null,
    download integer not null,
    since_ms integer not null,
    primary key (source, name)
) strict, without rowid;

-- Reports in the order in which they are sent. They are never changed.
create table entry (
    seq integer primary key autoincrement,
    report_id text not null unique,
    period_start_ms integer not null,
    period_end_ms integer not null,
    queued_at_ms integer not null,
    lines integer not null,
    upload integer not null,
    download integer not null,
    compressed integer not null,
    content blob not null
) strict;

-- Reports that the receiver rejected for good.
create table refused (
    report_id text primary key,
    period_start_ms integer not null,
    period_end_ms integer not null,
    lines integer not null,
    upload integer not null,
    download integer not null,
    compressed integer not null,
    content blob not null,
    status integer not null,
    reason text not null,
    refused_at_ms integer not null
) strict;
