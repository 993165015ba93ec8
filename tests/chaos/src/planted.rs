//! Plants the faults in `faults/*.patch` in a copy of the code. A run must find each of them.
//!
//! The text above a patch lists the rules that the fault breaks after `Breaks:`, separated by
//! semicolons.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use local::process::output;
use local::settings::repository;
use serde::Serialize;

use crate::plan::Plan;

/// Number of seeds after which a fault counts as not found.
const SEEDS: u64 = 3;

/// The result of the search for a planted fault.
#[derive(Debug, Serialize)]
pub struct Hunt {
    /// Name of the patch.
    pub fault: String,
    /// The broken rule that revealed the fault. `None` if the fault was not found.
    pub found: Option<String>,
    /// The seed of the last run.
    pub seed: u64,
}

#[derive(Debug)]
struct Patch {
    file: PathBuf,
    name: String,
    breaks: Vec<String>,
}

/// Plants each fault whose name contains `filter` and runs until the fault is found.
pub async fn hunt(seed: u64, filter: &str) -> Result<Vec<Hunt>> {
    let copy = Copy::new()?;
    let mut hunts = Vec::new();
    for patch in patches()?
        .iter()
        .filter(|patch| patch.name.contains(filter))
    {
        eprintln!("\nPlanting {}", patch.name);
        let worker = copy.build(patch)?;
        hunts.push(hunt_one(patch, seed, &worker).await?);
    }
    Ok(hunts)
}

async fn hunt_one(patch: &Patch, seed: u64, worker: &Path) -> Result<Hunt> {
    let mut last = seed;
    for seed in seed..seed + SEEDS {
        last = seed;
        let verdict = crate::run(Plan::hunt(seed), worker.to_owned()).await?;
        if let Some(logs) = &verdict.logs {
            fs::remove_dir_all(logs)?;
        }
        let broken: Vec<&String> = verdict.broken.keys().collect();
        eprintln!("Seed {seed}: {broken:?}");
        if let Some(rule) = broken.into_iter().find(|rule| patch.breaks.contains(rule)) {
            return Ok(Hunt {
                fault: patch.name.clone(),
                found: Some(rule.clone()),
                seed,
            });
        }
    }
    Ok(Hunt {
        fault: patch.name.clone(),
        found: None,
        seed: last,
    })
}

fn patches() -> Result<Vec<Patch>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("faults");
    let mut patches = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let file = entry?.path();
        let text = fs::read_to_string(&file)?;
        let breaks = text.lines().find_map(|line| line.strip_prefix("Breaks: "));
        let breaks =
            breaks.with_context(|| format!("{} has no line `Breaks: `.", file.display()))?;
        let name = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        patches.push(Patch {
            name,
            breaks: breaks
                .split(';')
                .map(|rule| rule.trim().to_owned())
                .collect(),
            file,
        });
    }
    patches.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(patches)
}

/// A copy of the repository at a fixed path, so that unchanged code is built only once.
struct Copy {
    root: PathBuf,
    tree: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn new() -> Result<Self> {
        let root = repository();
        let below = root.join("target/chaos-faults");
        let copy = Self {
            tree: below.join("tree"),
            target: below.join("target"),
            root,
        };
        fs::create_dir_all(&copy.tree)?;
        Ok(copy)
    }

    fn build(&self, patch: &Patch) -> Result<PathBuf> {
        self.refresh()?;
        let mut apply = Command::new("git");
        // The copy is inside the repository's folder but does not belong to the repository.
        apply
            .env(
                "GIT_CEILING_DIRECTORIES",
                self.tree.parent().unwrap_or(&self.tree),
            )
            .current_dir(&self.tree);
        output(
            apply.args(["apply", "--recount", "-C1"]).arg(&patch.file),
            "plant a fault",
        )?;
        let mut build = Command::new("cargo");
        build
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target);
        build.args([
            "build",
            "--quiet",
            "--locked",
            "-p",
            "telecom-chaos",
            "--bin",
            "telecom-chaos-worker",
        ]);
        output(&mut build, "build the code with a planted fault")?;
        Ok(self.target.join("debug/telecom-chaos-worker"))
    }

    /// Writes only files that differ. The others keep their times, so that they are not rebuilt.
    fn refresh(&self) -> Result<()> {
        let mut list = Command::new("git");
        list.arg("-C").arg(&self.root).args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let files = output(&mut list, "list the repository's files")?;
        for file in files.lines() {
            let (from, to) = (self.root.join(file), self.tree.join(file));
            let Ok(text) = fs::read(&from) else { continue };
            if fs::read(&to).is_ok_and(|there| there == text) {
                continue;
            }
            fs::create_dir_all(to.parent().unwrap_or(&self.tree))?;
            fs::write(&to, text).with_context(|| format!("Cannot write {}", to.display()))?;
        }
        if files.is_empty() {
            bail!("The repository holds no files.");
        }
        Ok(())
    }
}
