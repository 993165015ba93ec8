//! Metrics of AWS itself: those of queues, from what consumers returned, and those without any
//! function.

use serde_json::json;

use crate::CONSUMERS;
use crate::cloudwatch::Datum;
use crate::functions::Seen;

/// Minutes that SQS redelivers a message before it is a dead letter: five times six.
const RECEIVED_MINUTES: i64 = 30;

/// A metric that AWS measures without any function, as AWS documents it, and its alarm.
pub struct AwsMetric {
    pub alarm: &'static str,
    namespace: &'static str,
    name: &'static str,
    dimensions: &'static [(&'static str, &'static str)],
    pub bad: f64,
    pub good: f64,
}

impl AwsMetric {
    pub fn datum(&self, value: f64) -> Datum {
        Datum::new(self.namespace, self.name, self.dimensions, value)
    }
}

pub const AWS_METRICS: [AwsMetric; 9] = [
    AwsMetric {
        alarm: "ScheduleDeadLetters",
        namespace: "AWS/SQS",
        name: "ApproximateNumberOfMessagesVisible",
        dimensions: &[("QueueName", "telecom-schedule-dlq")],
        bad: 1.0,
        good: 0.0,
    },
    AwsMetric {
        alarm: "ApiFaults",
        namespace: "AWS/ApplicationELB",
        name: "HTTPCode_Target_5XX_Count",
        dimensions: &[LOAD_BALANCER],
        bad: 2.0,
        good: 1.0,
    },
    AwsMetric {
        alarm: "LoadBalancerFaults",
        namespace: "AWS/ApplicationELB",
        name: "HTTPCode_ELB_5XX_Count",
        dimensions: &[LOAD_BALANCER],
        bad: 2.0,
        good: 1.0,
    },
    AwsMetric {
        alarm: "ApiLatency",
        namespace: "AWS/ApplicationELB",
        name: "TargetResponseTime",
        dimensions: &[LOAD_BALANCER],
        bad: 2.1,
        good: 0.5,
    },
    AwsMetric {
        alarm: "GrpcTasks",
        namespace: "AWS/ApplicationELB",
        name: "HealthyHostCount",
        dimensions: &[("TargetGroup", "GrpcTargets"), LOAD_BALANCER],
        bad: 1.0,
        good: 2.0,
    },
    AwsMetric {
        alarm: "DatabaseCpu",
        namespace: "AWS/RDS",
        name: "CPUUtilization",
        dimensions: &[CLUSTER],
        bad: 81.0,
        good: 50.0,
    },
    AwsMetric {
        alarm: "DatabaseCapacity",
        namespace: "AWS/RDS",
        name: "ACUUtilization",
        dimensions: &[CLUSTER],
        bad: 91.0,
        good: 50.0,
    },
    AwsMetric {
        alarm: "DatabaseConnections",
        namespace: "AWS/RDS",
        name: "DatabaseConnections",
        dimensions: &[CLUSTER],
        bad: 301.0,
        good: 100.0,
    },
    AwsMetric {
        alarm: "DatabaseDeadlocks",
        namespace: "AWS/RDS",
        name: "Deadlocks",
        dimensions: &[CLUSTER],
        bad: 0.01,
        good: 0.0,
    },
];

const LOAD_BALANCER: (&str, &str) = ("LoadBalancer", "LoadBalancer");
const CLUSTER: (&str, &str) = ("DBClusterIdentifier", "Cluster");

/// SQS metrics of a consumer's queue. A message that fails waits until it becomes a dead letter.
pub fn of_queue(seen: &Seen, minute: i64) -> Vec<Datum> {
    let Some((_, queue)) = CONSUMERS
        .iter()
        .find(|(consumer, _)| *consumer == seen.function)
    else {
        return Vec::new();
    };
    let fails = seen
        .answer
        .as_ref()
        .is_none_or(|answer| answer["batchItemFailures"] != json!([]));
    let age_seconds = if fails { minute * 60 } else { 0 };
    let dead_letters = i64::from(fails && minute >= RECEIVED_MINUTES);
    let (queue, dead) = (format!("telecom-{queue}"), format!("telecom-{queue}-dlq"));
    let of_sqs = |name, queue: &str, value: i64| {
        Datum::new("AWS/SQS", name, &[("QueueName", queue)], value as f64)
    };
    vec![
        of_sqs("ApproximateAgeOfOldestMessage", &queue, age_seconds),
        of_sqs("ApproximateNumberOfMessagesVisible", &dead, dead_letters),
    ]
}
