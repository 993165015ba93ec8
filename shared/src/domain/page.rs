//! Pages of lists.

use super::within;
use crate::error::Error;

/// Accepted limits and offsets of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageBounds {
    /// Limit of a request that sets none.
    pub default_limit: i64,
    /// Maximum limit that a request may set.
    pub max_limit: i64,
    /// Maximum offset that a request may set.
    pub max_offset: i64,
}

/// Bounds of the lists of node servers and node clients for administrators.
pub const FLEET_PAGES: PageBounds = PageBounds {
    default_limit: 50,
    max_limit: 200,
    max_offset: 1_000_000,
};

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Maximum number of items to return.
    pub limit: i64,
    /// Number of items to skip.
    pub offset: i64,
}

impl Page {
    /// All items of a list.
    pub const EVERYTHING: Self = Self {
        limit: i64::MAX,
        offset: 0,
    };
}

impl PageBounds {
    /// Returns the requested page. Fails if the limit or the offset is out of bounds.
    pub fn page(&self, limit: Option<i64>, offset: Option<i64>) -> Result<Page, Error> {
        Ok(Page {
            limit: within(
                "limit",
                limit.unwrap_or(self.default_limit),
                1,
                self.max_limit,
            )?,
            offset: within("offset", offset.unwrap_or(0), 0, self.max_offset)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const BOUNDS: PageBounds = PageBounds {
        default_limit: 5,
        max_limit: 10,
        max_offset: 100,
    };

    #[rstest]
    #[case(None, None, Ok((5, 0)))]
    #[case(Some(1), Some(100), Ok((1, 100)))]
    #[case(Some(10), Some(0), Ok((10, 0)))]
    #[case(Some(0), None, Err("limit"))]
    #[case(Some(11), None, Err("limit"))]
    #[case(Some(-1), None, Err("limit"))]
    #[case(None, Some(-1), Err("offset"))]
    #[case(None, Some(101), Err("offset"))]
    fn a_page_is_within_bounds_or_the_error_names_the_parameter(
        #[case] limit: Option<i64>,
        #[case] offset: Option<i64>,
        #[case] expected: Result<(i64, i64), &str>,
    ) {
        let page = BOUNDS.page(limit, offset);
        let page = page
            .as_ref()
            .map(|page| (page.limit, page.offset))
            .map_err(|error| error.field().unwrap());
        assert_eq!(page, expected);
    }
}
