-- Not indexed, so that a heartbeat's update stays heap-only.
alter table telecom.node_server_heartbeat
    -- When the server was last seen with a usage line that carried bytes.
    add column last_traffic_at timestamptz,
    -- End of the newest period minus when its report was sent. Negative: the clock is behind, or reports wait.
    add column clock_skew_seconds integer,
    -- When the skew was last logged.
    add column clock_skew_logged_at timestamptz;
