//! Which user a counter's name stands for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use uuid::Uuid;

/// Who pays for the bytes of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Payer {
    pub user: Uuid,
    /// The node client. `None`: the server's client with the lowest id.
    pub client: Option<i32>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    Payer(Payer),
    Ignored,
    Unknown,
}

/// What the names of one source mean.
#[derive(Debug, Clone, Default)]
struct OfSource {
    client: Option<i32>,
    ignored: HashSet<String>,
}

/// The names of all sources.
#[derive(Debug, Default)]
pub struct Names {
    sources: HashMap<String, OfSource>,
    table: HashMap<String, Payer>,
    file: Option<UsersFile>,
}

#[derive(Debug)]
struct UsersFile {
    path: PathBuf,
    changed: Option<SystemTime>,
    users: HashMap<String, Payer>,
}

impl Names {
    /// `table` maps names to `UUID` or `UUID|CLIENT`.
    pub fn new(table: &BTreeMap<String, String>, file: Option<PathBuf>) -> Result<Self> {
        let mut names = Self::default();
        for (name, payer) in table {
            let payer = payer_of(payer).with_context(|| {
                format!("`users.\"{name}\"` is \"{payer}\"; expected \"UUID\" or \"UUID|CLIENT\"")
            })?;
            names.table.insert(name.clone(), payer);
        }
        names.file = file.map(|path| UsersFile {
            path,
            changed: None,
            users: HashMap::new(),
        });
        names.refresh()?;
        Ok(names)
    }

    pub fn add_source(&mut self, source: &str, client: Option<i32>, ignored: &[String]) {
        let ignored = ignored.iter().cloned().collect();
        let names = OfSource { client, ignored };
        self.sources.insert(source.to_owned(), names);
    }

    /// Reads the users file again if it has changed. If that fails, the earlier users stay.
    pub fn refresh(&mut self) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let path = file.path.display();
        let changed = fs::metadata(&file.path).and_then(|data| data.modified());
        let changed = changed.with_context(|| format!("`users_file` {path}"))?;
        if file.changed != Some(changed) {
            file.users = read(&file.path).with_context(|| format!("`users_file` {path}"))?;
            file.changed = Some(changed);
        }
        Ok(())
    }

    #[must_use]
    pub fn meaning(&self, source: &str, name: &str) -> Meaning {
        let of_source = self.sources.get(source);
        if of_source.is_some_and(|names| names.ignored.contains(name)) {
            return Meaning::Ignored;
        }
        let in_file = || self.file.as_ref()?.users.get(name).copied();
        let payer = self.table.get(name).copied().or_else(in_file);
        match payer.or_else(|| payer_of(name)) {
            Some(payer) => Meaning::Payer(Payer {
                client: payer.client.or(of_source.and_then(|names| names.client)),
                ..payer
            }),
            None => Meaning::Unknown,
        }
    }
}

/// Parses `UUID` or `UUID|CLIENT`.
fn payer_of(text: &str) -> Option<Payer> {
    let (user, client) = match text.split_once('|') {
        Some((user, client)) => (user, Some(client.trim().parse().ok()?)),
        None => (text, None),
    };
    let user = Uuid::try_parse(user.trim()).ok()?;
    Some(Payer { user, client })
}

fn read(path: &Path) -> Result<HashMap<String, Payer>> {
    let mut lines = csv::ReaderBuilder::new();
    let lines = lines.flexible(true).trim(csv::Trim::All).from_path(path);
    let mut users = HashMap::new();
    let mut lines = lines?;
    let header: Vec<_> = lines.headers()?.iter().map(str::to_owned).collect();
    if !matches!(
        header.iter().map(String::as_str).collect::<Vec<_>>()[..],
        ["name", "user"] | ["name", "user", "node_client_id"]
    ) {
        bail!("the first line must be name,user or name,user,node_client_id");
    }
    for line in lines.records() {
        let line = line?;
        let number = line.position().map_or(0, csv::Position::line);
        let (name, payer) = user_of(&line).with_context(|| {
            format!("line {number}: expected a name, a UUID, and optionally a number")
        })?;
        if users.insert(name, payer).is_some() {
            bail!("line {number}: the name is listed twice");
        }
    }
    Ok(users)
}

fn user_of(line: &csv::StringRecord) -> Option<(String, Payer)> {
    let name = line.get(0).filter(|name| !name.is_empty())?;
    let user = Uuid::try_parse(line.get(1)?).ok()?;
    let client = match line.get(2) {
        None | Some("") => None,
        Some(client) => Some(client.parse().ok()?),
    };
    Some((name.to_owned(), Payer { user, client }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "7d0f3a52-7c52-4c0e-8f5a-0d3f6f1f0a01";

    fn names(table: &[(&str, &str)], file: Option<PathBuf>) -> Result<Names> {
        let table = table.iter();
        let table = table.map(|(name, payer)| ((*name).to_owned(), (*payer).to_owned()));
        let mut names = Names::new(&table.collect(), file)?;
        names.add_source("x", Some(7), &["probe".to_owned()]);
        Ok(names)
    }

    fn pays(client: Option<i32>) -> Meaning {
        let user = Uuid::try_parse(USER).unwrap();
        Meaning::Payer(Payer { user, client })
    }

    #[test]
    fn a_name_is_a_user_with_or_without_a_client() {
        let names = names(&[], None).unwrap();
        assert_eq!(names.meaning("x", &format!("{USER}|19")), pays(Some(19)));
        assert_eq!(names.meaning("x", USER), pays(Some(7)));
        assert_eq!(names.meaning("other", USER), pays(None));
        assert_eq!(names.meaning("x", "probe"), Meaning::Ignored);
        for unknown in [
            "",
            "alice",
            "|19",
            &format!("{USER}|"),
            &format!("{USER}|node19"),
        ] {
            assert_eq!(names.meaning("x", unknown), Meaning::Unknown, "{unknown}");
        }
    }

    #[test]
    fn the_table_maps_names_and_names_its_faulty_key() {
        let names = self::names(&[("key=", &format!("{USER}|3")), (USER, USER)], None).unwrap();
        assert_eq!(names.meaning("x", "key="), pays(Some(3)));
        let error = self::names(&[("bob", "nobody knows")], None).unwrap_err();
        assert!(
            format!("{error:#}").contains("`users.\"bob\"`"),
            "{error:#}"
        );
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_faulty_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.csv");
        fs::write(&path, format!("name,user,node_client_id\nkey=,{USER},\n")).unwrap();
        let mut names = names(&[], Some(path.clone())).unwrap();
        assert_eq!(names.meaning("x", "key="), pays(Some(7)));

        let later = |seconds| {
            let file = fs::File::options().append(true).open(&path).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            file.set_modified(time).unwrap();
        };
        fs::write(&path, "name,user\nkey=,nonsense\n").unwrap();
        later(1);
        let error = names.refresh().unwrap_err();
        assert!(format!("{error:#}").contains("line 2"), "{error:#}");
        assert_eq!(names.meaning("x", "key="), pays(Some(7)));

        fs::write(&path, format!("name,user,node_client_id\nkey=,{USER},8\n")).unwrap();
        later(2);
        names.refresh().unwrap();
        assert_eq!(names.meaning("x", "key="), pays(Some(8)));
    }

    #[test]
    fn a_users_file_without_its_header_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.csv");
        for content in [
            format!("key=,{USER}\n"),
            "name,user\na,b,c,d\n".to_owned(),
            format!("name,user\na,{USER}\na,{USER}\n"),
        ] {
            fs::write(&path, content).unwrap();
            assert!(names(&[], Some(path.clone())).is_err());
        }
    }
}
