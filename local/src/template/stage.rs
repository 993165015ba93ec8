//! Copies the built functions to where `template.yaml` expects them:
//! `target/lambda/<name>/bootstrap`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::schedule;
use crate::process::{find_program, succeeds};
use crate::settings::Settings;

/// The folder that the template's `CodeUri`s are in.
const CODE_FOLDER: &str = "target/lambda/";

/// Paths of `template.yaml` and of its nested templates.
pub fn templates(root: &Path) -> Result<Vec<PathBuf>> {
    let folder = root.join("stacks");
    let nested =
        fs::read_dir(&folder).with_context(|| format!("Cannot read {}", folder.display()))?;
    let mut templates: Vec<PathBuf> = nested.flatten().map(|file| file.path()).collect();
    templates.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    templates.sort();
    templates.insert(0, root.join("template.yaml"));
    Ok(templates)
}

/// Stages the templates and every function in them, from the build in `settings.profile`. Returns
/// an error if a schedule is unknown, because ministack would never start its job.
pub fn stage(settings: &Settings) -> Result<()> {
    for source in templates(&settings.root)? {
        let template = fs::read_to_string(&source)
            .with_context(|| format!("Cannot read {}", source.display()))?;
        schedule::check(&template).with_context(|| format!("Cannot run {}", source.display()))?;
        if settings.deploy != settings.root {
            let staged = settings.deploy.join(source.strip_prefix(&settings.root)?);
            fs::create_dir_all(staged.parent().unwrap_or(&settings.deploy))?;
            fs::copy(&source, staged)?;
        }
        for name in function_names(&template) {
            stage_function(settings, name)?;
        }
    }
    Ok(())
}

/// Package names of the functions that a template deploys.
pub fn function_names(template: &str) -> impl Iterator<Item = &str> {
    template.lines().filter_map(package)
}

/// Package names and logical ids of the functions that a template deploys.
pub fn functions(template: &str) -> impl Iterator<Item = (String, String)> {
    let mut resource = "";
    template.lines().filter_map(move |line| {
        if let Some(name) = line
            .strip_prefix("  ")
            .filter(|name| !name.starts_with([' ', '#']))
        {
            resource = name.trim_end().trim_end_matches(':');
        }
        package(line).map(|package| (package.to_owned(), resource.to_owned()))
    })
}

fn package(line: &str) -> Option<&str> {
    let path = line.trim().strip_prefix("CodeUri:")?.trim();
    Some(path.strip_prefix(CODE_FOLDER)?.trim_end_matches('/'))
}

fn stage_function(settings: &Settings, name: &str) -> Result<()> {
    let built = settings.built(name);
    let folder = settings.deploy.join(CODE_FOLDER).join(name);
    let staged = folder.join("bootstrap");
    if !built.is_file() {
        bail!(
            "{} is missing. Build the functions first: `make build`.",
            built.display()
        );
    }
    if is_current(&staged, &built) {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    let unfinished = folder.with_extension("new");
    fs::copy(&built, &unfinished).with_context(|| format!("Cannot stage {name}"))?;
    strip(&unfinished);
    // The service user runs the function, whatever this user's umask was.
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o755))?;
    fs::rename(&unfinished, &staged).with_context(|| format!("Cannot stage {name}"))
}

/// Whether the staged file is up to date. A copy gets the time of copying.
fn is_current(staged: &Path, built: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|data| data.modified());
    matches!((modified(staged), modified(built)), (Ok(staged), Ok(built)) if staged >= built)
}

/// With debug information, a deployment of debug builds would have several hundred megabytes. If
/// `strip` is not installed, the debug information stays.
fn strip(binary: &Path) {
    if find_program("strip").is_some() {
        succeeds(Command::new("strip").arg(binary));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_read_from_the_template() {
        let template = "  A:\n    CodeUri: target/lambda/bill-traffic/\n  B:\n    CodeUri: \
            target/lambda/migrate\n  C:\n    CodeUri: elsewhere/\n";
        assert_eq!(
            function_names(template).collect::<Vec<_>>(),
            ["bill-traffic", "migrate"]
        );
        let named = functions(template).map(|(_, resource)| resource);
        assert_eq!(named.collect::<Vec<_>>(), ["A", "B"]);
    }
}
