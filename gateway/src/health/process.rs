//! What the system says of this process, by the names that other programs' pages use too.

use std::fs;

/// Read from `/proc/self`; what can't be read is left out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    pub(super) resident_bytes: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) threads: Option<u64>,
}

impl Process {
    pub(super) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        Self {
            resident_bytes: field("VmRSS:").map(|kibibytes| kibibytes.saturating_mul(1_024)),
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64),
            threads: field("Threads:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Process;

    #[test]
    fn a_process_has_memory_files_and_threads() {
        let process = Process::read();
        assert!(process.resident_bytes.unwrap() > 100_000);
        assert!(process.open_files.unwrap() > 2 && process.threads.unwrap() > 0);
    }
}
