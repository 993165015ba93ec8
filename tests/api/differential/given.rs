//! Generated values of parameters, with those that the documentation refuses.

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use telecom_tests::at;
use uuid::Uuid;

use super::Question;

/// A parameter on both transports; `None` and `Null` if it is not given.
#[derive(Debug, Clone)]
pub struct Given {
    pub http: Option<String>,
    pub grpc: Value,
    pub accepted: bool,
    /// Value for the oracle, with the default applied; empty if there is none.
    pub word: String,
}

impl Given {
    pub fn nothing(default: &str) -> Self {
        Self {
            http: None,
            grpc: Value::Null,
            accepted: true,
            word: default.to_owned(),
        }
    }

    pub fn new(http: &impl ToString, grpc: impl Into<Value>, accepted: bool) -> Self {
        let http = http.to_string();
        Self {
            word: http.clone(),
            http: Some(http),
            grpc: grpc.into(),
            accepted,
        }
    }
}

impl Question {
    /// Adds a parameter, which may have another name over gRPC.
    pub fn given(mut self, name: &'static str, grpc_name: &'static str, given: &Given) -> Self {
        if let Some(text) = &given.http {
            let escaped: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
            let separator = if self.query.is_empty() { "" } else { "&" };
            self.query = format!(
                "{}{separator}{name}={}",
                self.query,
                escaped.replace('+', "%20")
            );
        }
        if !given.grpc.is_null() {
            self.message[grpc_name] = given.grpc.clone();
        }
        if !given.accepted {
            self.faults.push((name, grpc_name));
        }
        self
    }

    /// Selects whether a list contains archived items.
    pub fn with_archived(mut self, archived: &Given) -> Self {
        archived.word.clone_into(&mut self.arguments[3]);
        self.given("include_archived", "include_archived", archived)
    }
}

/// An integer, of which `least` to `most` are accepted. A `limit` of 0 is not generated, since it
/// means the default over gRPC.
pub fn number(
    least: i64,
    most: i64,
    default: &'static str,
    bad: &[i64],
) -> impl Strategy<Value = Given> + use<> {
    let few = least..=least.saturating_add(30).min(most);
    let numbers = prop_oneof![6 => few, 1 => select(vec![least, most]), 3 => select(bad.to_vec())];
    let given = numbers.prop_map(move |n| Given::new(&n, n, (least..=most).contains(&n)));
    prop_oneof![2 => Just(Given::nothing(default)), 5 => given]
}

pub fn limit(most: i64, default: &'static str) -> impl Strategy<Value = Given> {
    number(
        1,
        most,
        default,
        &[-1, most + 1, i32::MAX.into(), i32::MIN.into()],
    )
}

pub fn offset(most: i64) -> impl Strategy<Value = Given> {
    number(0, most, "0", &[-1, most + 1, i64::MAX, i64::MIN])
}

/// The id of a server or a client, mostly an existing one.
pub fn id(there: std::ops::RangeInclusive<i64>) -> impl Strategy<Value = Given> {
    let ids = prop_oneof![8 => there, 1 => select(vec![404, i32::MAX.into()]), 1 => select(vec![0,
        -1, i32::MIN.into()])];
    ids.prop_map(|id| Given::new(&id, id, id > 0))
}

/// The id of a server or a client by which a list is filtered, or nothing. An id of 0 is not
/// generated, since it means no filter over gRPC.
pub fn filter_id(there: std::ops::RangeInclusive<i64>) -> impl Strategy<Value = Given> {
    let given = id(there).prop_filter("0 is no filter over gRPC", |id| id.word != "0");
    prop_oneof![2 => Just(Given::nothing("")), 1 => given]
}

/// One of `words` (`PREFIX_WORD` over gRPC), or an unknown word.
pub fn word(prefix: &'static str, words: &'static [&'static str]) -> impl Strategy<Value = Given> {
    let known = select(words)
        .prop_map(move |word| Given::new(&word, format!("{prefix}{}", word.to_uppercase()), true));
    let unknown = select(vec![
        ("unspecified", -1),
        ("Active", 99),
        ("up\0", i32::MAX),
        ("-", i32::MIN),
    ]);
    prop_oneof![7 => known, 1 => unknown.prop_map(|(text, number)| Given::new(&text, number,
        false))]
}

/// A UUID in any of its textual forms, an invalid text, or nothing.
pub fn uuid(known: &[Uuid]) -> impl Strategy<Value = Given> + use<> {
    let ids =
        prop_oneof![6 => select(known.to_vec()), 1 => any::<u128>().prop_map(Uuid::from_u128)];
    let written = (ids, 0..3).prop_map(|(id, way)| match way {
        0 => id.to_string(),
        1 => id.to_string().to_uppercase(),
        _ => id.simple().to_string(),
    });
    let nonsense = prop_oneof![
        ".{1,60}",
        "[0-9a-f-]{1,35}",
        Just("\0".to_owned()),
        Just("ü".repeat(2_000))
    ];
    let nonsense = nonsense.prop_filter("a UUID", |text| text.parse::<Uuid>().is_err());
    prop_oneof![
        2 => Just(Given::nothing("")),
        4 => written.prop_map(|text| Given::new(&text, text.clone(), true)),
        1 => nonsense.prop_map(|text| Given::new(&text, text.clone(), false)),
    ]
}

pub fn zone(known: &[String]) -> impl Strategy<Value = Given> + use<> {
    let nonsense = prop_oneof![
        Just("Mars/Olympus".to_owned()),
        Just("UTC\0".to_owned()),
        "\\PC{1,20}",
        "[+-][0-9]{1,4}"
    ];
    let nonsense = nonsense.prop_filter("a zone", |text| text.parse::<chrono_tz::Tz>().is_err());
    prop_oneof![
        1 => Just(Given::nothing("UTC")),
        6 => select(known.to_vec()).prop_map(|name| Given::new(&name, name.clone(), true)),
        1 => nonsense.prop_map(|text| Given::new(&text, text.clone(), false)),
    ]
}

/// A full second, hour or day near the data, before and after changes of clocks.
pub fn time_near_data() -> impl Strategy<Value = DateTime<Utc>> {
    let begin = at("2026-02-20T00:00:00Z");
    (0..50_i64 * 86_400, select(vec![1, 3_600, 86_400]))
        .prop_map(move |(seconds, step)| begin + TimeDelta::seconds(seconds - seconds % step))
}

/// A time in a request, with any UTC offset: mostly near the data, sometimes at the limits of the
/// accepted range, or nothing.
pub fn optional_time() -> impl Strategy<Value = Option<DateTime<FixedOffset>>> {
    let ends = select(vec![
        at("0001-01-01T00:00:00Z"),
        at("0001-01-01T00:00:01Z"),
        at("9999-12-31T23:59:59Z"),
    ]);
    let offset = (-56..=56_i32).prop_map(|quarters| FixedOffset::east_opt(quarters * 900).unwrap());
    let near = (time_near_data(), offset).prop_map(|(at, offset)| Some(at.with_timezone(&offset)));
    prop_oneof![2 => Just(None), 9 => near, 1 => ends.prop_map(|at| Some(at.fixed_offset()))]
}

/// A range that mostly spans some hours or days.
pub fn range() -> impl Strategy<Value = [Option<DateTime<FixedOffset>>; 2]> {
    let length =
        prop_oneof![6 => 1..100 * 3_600_i64, 2 => 0..200 * 86_400_i64, 1 => -100_000..=0_i64];
    let named = at("0001-01-01T00:00:00Z")..=at("9999-12-31T23:59:59Z");
    (
        optional_time(),
        optional_time(),
        length,
        prop::bool::weighted(0.7),
    )
        .prop_map(move |(start, end, seconds, by_length)| {
            let after = |start: DateTime<FixedOffset>| {
                start.checked_add_signed(TimeDelta::seconds(seconds))
            };
            let after = start
                .and_then(after)
                .filter(|end| named.contains(&end.to_utc()));
            let end = if by_length { after } else { end };
            [start, end]
        })
}
