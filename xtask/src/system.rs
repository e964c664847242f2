//! What the operating system provides: Python, a browser with its driver, and a Vulkan driver.
//!
//! On Debian and Ubuntu, apt installs what is missing where it may without asking for a password;
//! elsewhere the error says what to install.

use crate::project::{Project, capture, run, say};
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Browser {
    pub chromium: PathBuf,
    pub driver: PathBuf,
}

const CHROMIUM: &[&str] = &[
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
];

const HOW_BROWSER: &str =
    "Chromium (or Chrome) and the chromedriver of the same version are needed:
  Debian   sudo apt-get install chromium chromium-driver
  Ubuntu   sudo apt-get install chromium-browser chromium-chromedriver
  Fedora   sudo dnf install chromium chromedriver
  Arch     sudo pacman -S chromium
  macOS    brew install --cask google-chrome chromedriver
  Windows  install Chrome, and put its chromedriver.exe on PATH";

const HOW_VULKAN: &str = "a Vulkan driver is needed, a software one will do:
  Debian, Ubuntu  sudo apt-get install mesa-vulkan-drivers libvulkan1
  Fedora          sudo dnf install mesa-vulkan-drivers vulkan-loader
  Arch            sudo pacman -S vulkan-swrast vulkan-icd-loader
If one is in an unusual place, name its JSON file in VK_DRIVER_FILES";

const VULKAN_DRIVERS: &[&str] = &[
    "/usr/share/vulkan/icd.d",
    "/usr/local/share/vulkan/icd.d",
    "/etc/vulkan/icd.d",
];

/// Python, which the project does not install.
pub fn python() -> Result<PathBuf> {
    ["python3", "python"]
        .iter()
        .find_map(|name| which::which(name).ok())
        .context("Python 3 is missing: install it (with pip), then run this again")
}

/// A Chromium and its driver, installed if missing and possible.
pub fn browser(project: &Project) -> Result<Browser> {
    if let Some(browser) = find_browser() {
        return Ok(browser);
    }
    let packages: &[&str] = if is_distribution("ubuntu") {
        &["chromium-browser", "chromium-chromedriver"]
    } else {
        &["chromium", "chromium-driver"]
    };
    apt_install(project, packages, HOW_BROWSER)?;
    find_browser().context(HOW_BROWSER)
}

fn find_browser() -> Option<Browser> {
    let chromium = CHROMIUM.iter().find_map(|name| which::which(name).ok())?;
    let driver = which::which("chromedriver").ok()?;
    Some(Browser { chromium, driver })
}

/// Makes sure that native tests find a Vulkan driver; returns the one to name in
/// `VK_DRIVER_FILES`, where that helps.
///
/// On a machine without a GPU only Mesa's lavapipe can work, and naming it keeps the other
/// installed drivers from being tried, which is slow and fills the output with their complaints.
pub fn vulkan(project: &Project) -> Result<Option<PathBuf>> {
    let chosen = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"];
    if !cfg!(target_os = "linux") || chosen.iter().any(|name| std::env::var_os(name).is_some()) {
        return Ok(None);
    }
    if has_gpu() && !vulkan_drivers().is_empty() {
        return Ok(None);
    }
    if let Some(driver) = lavapipe() {
        return Ok(Some(driver));
    }
    let packages = ["mesa-vulkan-drivers", "libvulkan1"];
    apt_install(project, &packages, HOW_VULKAN)?;
    lavapipe().context(HOW_VULKAN).map(Some)
}

/// The Vulkan driver that Debian's Chromium brings along.
pub fn swiftshader() -> Option<PathBuf> {
    let driver = PathBuf::from("/usr/lib/chromium/vk_swiftshader_icd.json");
    driver.exists().then_some(driver)
}

fn lavapipe() -> Option<PathBuf> {
    vulkan_drivers().into_iter().find(|path| {
        let name = path.file_name().map(OsStr::to_string_lossy);
        name.is_some_and(|name| name.starts_with("lvp_icd"))
    })
}

fn vulkan_drivers() -> Vec<PathBuf> {
    let folders = VULKAN_DRIVERS
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok());
    let files = folders.flatten().flatten().map(|entry| entry.path());
    files
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .collect()
}

fn has_gpu() -> bool {
    Path::new("/dev/nvidiactl").exists()
        || fs::read_dir("/dev/dri").is_ok_and(|mut nodes| nodes.any(|node| node.is_ok()))
}

/// Installs Debian packages; where that cannot be, the error says why and `by_hand` what to do.
fn apt_install(project: &Project, packages: &[&str], by_hand: &str) -> Result<()> {
    if !is_distribution("debian") || which::which("apt-get").is_err() {
        bail!("{by_hand}\n(There is no apt here to install it with.)");
    }
    let is_root = capture(Command::new("id").arg("-u"))?.trim() == "0";
    if !is_root && capture(Command::new("sudo").args(["-n", "true"])).is_err() {
        bail!("{by_hand}\n(Installing it needs a password.)");
    }
    let apt = |args: &[&str]| {
        let mut command = project.command(if is_root { "env" } else { "sudo" });
        if !is_root {
            command.args(["-n", "env"]);
        }
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"])
            .args(args);
        run(&mut command)
    };
    say(&format!("installing with apt: {}", packages.join(" ")));
    apt(&["update"])?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt(&[&install[..], packages].concat())
}

/// Whether this is the named Linux distribution or one made from it.
fn is_distribution(name: &str) -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let mut lines = release.lines().filter_map(|line| line.split_once('='));
    lines.any(|(key, value)| {
        matches!(key, "ID" | "ID_LIKE")
            && value
                .trim_matches('"')
                .split_whitespace()
                .any(|id| id == name)
    })
}
