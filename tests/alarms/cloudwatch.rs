//! CloudWatch as far as the alarms of the templates use it: statistics over periods, missing data,
//! and arithmetic.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::document::{flat, templates};

/// One value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    pub namespace: String,
    pub name: String,
    pub dimensions: BTreeMap<String, String>,
    pub value: f64,
}

impl Datum {
    pub fn new(namespace: &str, name: &str, dimensions: &[(&str, &str)], value: f64) -> Self {
        let dimensions = dimensions
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            dimensions,
            value,
        }
    }
}

/// The data with the minute in which each arrived.
#[derive(Debug, Default)]
pub struct Metrics(Vec<(i64, Datum)>);

impl Metrics {
    pub fn add(&mut self, minute: i64, data: &[Datum]) {
        self.0
            .extend(data.iter().map(|datum| (minute, datum.clone())));
    }

    /// The statistic of a metric over `[from, until)`; `None` without data.
    fn statistic(&self, metric: &Metric, from: i64, until: i64) -> Option<f64> {
        let values = self
            .0
            .iter()
            .filter(|(minute, datum)| (from..until).contains(minute) && metric.is_of(datum));
        let values: Vec<f64> = values.map(|(_, datum)| datum.value).collect();
        let largest = values.iter().copied().reduce(f64::max)?;
        Some(match metric.statistic.as_str() {
            "Sum" => values.iter().sum(),
            "Average" => values.iter().sum::<f64>() / values.len() as f64,
            "Maximum" | "p99" => largest,
            "Minimum" => values.iter().copied().fold(f64::INFINITY, f64::min),
            other => panic!("there is no statistic {other}"),
        })
    }
}

/// A metric as an alarm names it.
struct Metric {
    namespace: String,
    name: String,
    dimensions: BTreeMap<String, String>,
    statistic: String,
    period_minutes: i64,
}

impl Metric {
    /// A metric has exactly the dimensions with which it was emitted. CloudWatch does not aggregate
    /// over other dimensions.
    fn is_of(&self, datum: &Datum) -> bool {
        (&self.namespace, &self.name, &self.dimensions)
            == (&datum.namespace, &datum.name, &datum.dimensions)
    }
}

/// The templates as they are deployed, with the newest version of every function.
pub struct Deployed {
    template: Value,
    version: &'static str,
}

impl Deployed {
    pub fn with_version(version: &'static str) -> Self {
        Self {
            template: flat(&templates()),
            version,
        }
    }

    /// The names of all alarms as in `docs/OPERATIONS.md`.
    pub fn alarms(&self) -> BTreeSet<String> {
        self.of_alarms().map(|(name, _)| name).collect()
    }

    /// The names of the alarms on one metric, whatever its dimensions.
    pub fn alarms_on(&self, metric: &str) -> BTreeSet<String> {
        self.of_alarms()
            .filter(|(_, alarm)| alarm["MetricName"] == metric)
            .map(|(name, _)| name)
            .collect()
    }

    /// The minutes over which the longest alarm is evaluated.
    pub fn longest_minutes(&self) -> i64 {
        let minutes = |alarm: &Value| {
            let queries = alarm["Metrics"].as_array().into_iter().flatten();
            let seconds = queries
                .map(|query| &query["MetricStat"]["Period"])
                .chain([&alarm["Period"]])
                .filter_map(Value::as_i64)
                .max();
            seconds.unwrap() / 60 * alarm["EvaluationPeriods"].as_i64().unwrap()
        };
        self.of_alarms()
            .map(|(_, alarm)| minutes(alarm))
            .max()
            .unwrap()
    }

    /// The alarms that are in alarm at the end of minute `now`.
    pub fn firing(&self, metrics: &Metrics, now: i64) -> BTreeSet<String> {
        self.of_alarms()
            .filter(|(_, alarm)| self.fires(alarm, metrics, now))
            .map(|(name, _)| name)
            .collect()
    }

    fn of_alarms(&self) -> impl Iterator<Item = (String, &Value)> {
        let resources = self.template["Resources"].as_object().unwrap().iter();
        let alarms = resources.filter(|(_, resource)| resource["Type"] == "AWS::CloudWatch::Alarm");
        alarms.map(|(name, alarm)| {
            (
                name.strip_suffix("Alarm").unwrap().to_owned(),
                &alarm["Properties"],
            )
        })
    }

    fn fires(&self, alarm: &Value, metrics: &Metrics, now: i64) -> bool {
        let periods = alarm["EvaluationPeriods"].as_i64().unwrap();
        let threshold: f64 = self.resolve(&alarm["Threshold"]).parse().unwrap();
        let breaches =
            |value: Option<f64>| match (value, alarm["ComparisonOperator"].as_str().unwrap()) {
                (None, _) => alarm["TreatMissingData"] == "breaching",
                (Some(value), "GreaterThanThreshold") => value > threshold,
                (Some(value), "GreaterThanOrEqualToThreshold") => value >= threshold,
                (Some(value), "LessThanThreshold") => value < threshold,
                (_, other) => panic!("there is no operator {other}"),
            };
        let breaching = (0..periods)
            .filter(|back| breaches(self.value(alarm, metrics, now, *back)))
            .count();
        i64::try_from(breaching).unwrap() >= alarm["DatapointsToAlarm"].as_i64().unwrap_or(periods)
    }

    /// The value that an alarm compares, `back` periods before `now`.
    fn value(&self, alarm: &Value, metrics: &Metrics, now: i64, back: i64) -> Option<f64> {
        let at = |metric: &Metric| {
            let until = now - back * metric.period_minutes;
            metrics.statistic(metric, until - metric.period_minutes, until)
        };
        let Some(queries) = alarm["Metrics"].as_array() else {
            return at(&self.metric(alarm, alarm));
        };
        let (expressions, stats): (Vec<_>, Vec<_>) = queries
            .iter()
            .partition(|query| query["MetricStat"].is_null());
        let values: Vec<(&str, Option<f64>)> = stats
            .into_iter()
            .map(|query| {
                assert_eq!(query["ReturnData"], false, "an alarm compares one value");
                (
                    query["Id"].as_str().unwrap(),
                    at(&self.metric(&query["MetricStat"]["Metric"], &query["MetricStat"])),
                )
            })
            .collect();
        assert_eq!(expressions.len(), 1);
        compute(expressions[0]["Expression"].as_str().unwrap(), &values)
    }

    fn metric(&self, metric: &Value, how: &Value) -> Metric {
        let dimensions = metric["Dimensions"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let statistic = ["Stat", "Statistic", "ExtendedStatistic"]
            .iter()
            .find_map(|field| text(&how[*field]));
        Metric {
            namespace: text(&metric["Namespace"]).unwrap(),
            name: text(&metric["MetricName"]).unwrap(),
            dimensions: dimensions
                .map(|one| (text(&one["Name"]).unwrap(), self.resolve(&one["Value"])))
                .collect(),
            statistic: statistic.unwrap(),
            period_minutes: how["Period"].as_i64().unwrap() / 60,
        }
    }

    /// Resolves a value for a stack called `telecom`. A resource without a name of its own gets its
    /// logical id.
    fn resolve(&self, value: &Value) -> String {
        if let Some(text) = value["Fn::Sub"].as_str() {
            return text.replace("${AWS::StackName}", "telecom");
        }
        if let Some(branches) = value["Fn::If"].as_array() {
            return self.resolve(&branches[1]);
        }
        let Some(reference) = value["Fn::GetAtt"]
            .as_str()
            .or_else(|| value["Ref"].as_str())
        else {
            return value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
        };
        let (name, attribute) = reference.split_once('.').unwrap_or((reference, ""));
        let parameter = &self.template["Parameters"][name]["Default"];
        let properties = &self.template["Resources"][name]["Properties"];
        let given = ["FunctionName", "QueueName"]
            .into_iter()
            .map(|field| &properties[field]);
        match given.chain([parameter]).find(|value| !value.is_null()) {
            Some(_) if attribute == "Version.Version" => self.version.to_owned(),
            Some(value) => self.resolve(value),
            None => name.to_owned(),
        }
    }
}

/// Arithmetic on metrics, in the two forms that the templates use.
fn compute(expression: &str, values: &[(&str, Option<f64>)]) -> Option<f64> {
    if expression == "SUM(METRICS())" {
        return values
            .iter()
            .filter_map(|(_, value)| *value)
            .reduce(|sum, value| sum + value);
    }
    let operand = |word: &str| {
        let value = || {
            values
                .iter()
                .find(|(id, _)| *id == word)
                .unwrap_or_else(|| panic!("there is no metric {word}"))
        };
        word.parse().ok().or_else(|| value().1)
    };
    let mut words = expression.split_whitespace();
    let mut result = operand(words.next()?)?;
    while let Some(operator) = words.next() {
        let other = operand(words.next()?)?;
        result = match operator {
            "*" => result * other,
            "/" => result / other,
            _ => panic!("there is no operator {operator}"),
        };
    }
    Some(result)
}
