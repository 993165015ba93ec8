//! The package items that an earlier import delivered.

use std::collections::HashMap;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::fleet::api::{Api, Failure};

/// Number of items to request at once, the API's maximum.
const PAGE: usize = 200;
/// The API lists no more items of one package.
const MOST: usize = 10_000;

/// A package item, as the API lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Item {
    pub id: i64,
    order: Option<Uuid>,
    pub status: String,
    pub used: i64,
    /// `None` if the package is unlimited.
    pub quota: Option<i64>,
    pub adjust_quota: i64,
    pub expires_at: Option<DateTime<Utc>>,
    pub extended_seconds: i64,
}

/// Items by their orders.
#[derive(Debug, Default)]
pub struct Items {
    by_order: HashMap<Uuid, Item>,
    /// Whether a package has more items than were listed.
    is_partial: bool,
}

impl Items {
    /// Lists the items of packages. This needs fewer requests than to ask for each order.
    pub fn of_packages(api: &Api, packages: impl Iterator<Item = i64>) -> Result<Self> {
        let mut items = Self::default();
        for package in packages {
            let mut offset: usize = 0;
            loop {
                let query = format!("package={package}&limit={PAGE}&offset={offset}");
                let page = list(api, &query).context("Cannot list the package items")?;
                let is_last = page.len() < PAGE;
                offset = offset.saturating_add(page.len());
                items.add(page);
                if is_last {
                    break;
                }
                if offset >= MOST {
                    items.is_partial = true;
                    break;
                }
            }
        }
        Ok(items)
    }

    fn add(&mut self, page: Vec<Item>) {
        for item in page {
            if let Some(order) = item.order {
                self.by_order.insert(order, item);
            }
        }
    }

    /// The item of an order, which is requested if it may not be among the listed ones.
    pub fn of_order(&self, api: &Api, order: Uuid) -> Result<Option<Item>, Failure> {
        match self.by_order.get(&order) {
            Some(item) => Ok(Some(item.clone())),
            None if self.is_partial => ordered(api, order),
            None => Ok(None),
        }
    }
}

/// The item that an order delivered. `None` if there is no such order.
pub fn ordered(api: &Api, order: Uuid) -> Result<Option<Item>, Failure> {
    Ok(list(api, &format!("order={order}&limit=1"))?.pop())
}

fn list(api: &Api, query: &str) -> Result<Vec<Item>, Failure> {
    let mut page = api.get(&format!("/v1/admin/package-queue?{query}"))?;
    let items = page.get_mut("packages").map(Value::take);
    serde_json::from_value(items.unwrap_or_default()).map_err(|error| Failure::unreadable(&error))
}
