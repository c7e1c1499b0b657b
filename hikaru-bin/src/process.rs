//! What the kernel says of this process, under the names that Prometheus' client libraries have agreed on: `process_…`. Read
//! from /proc when the figures are read; where there is no /proc, there are no such figures.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Ticks a second of the times in /proc. The kernel tells programs 100 on every architecture that this one is built for.
const TICKS: f64 = 100.0;

/// The process that runs this.
#[derive(Debug)]
pub(crate) struct Process;

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        Figures::now().encode(encoder)
    }
}

/// What was read. `None`: it could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Figures {
    cpu_seconds: Option<f64>,
    start_seconds: Option<f64>,
    resident_bytes: Option<u64>,
    virtual_bytes: Option<u64>,
    threads: Option<u64>,
    open_fds: Option<u64>,
    max_fds: Option<u64>,
}

impl Figures {
    fn now() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mut figures = Self::of(
            &text("/proc/self/stat"),
            &text("/proc/stat"),
            &text("/proc/self/status"),
            &text("/proc/self/limits"),
        );
        figures.open_fds = fs::read_dir("/proc/self/fd")
            .ok()
            .map(|fds| fds.count() as u64);
        figures
    }

    /// What the files of this process say: `stat`, the machine's `stat`, `status`, `limits`.
    fn of(stat: &str, machine: &str, status: &str, limits: &str) -> Self {
        // The name of the program stands in parentheses and may hold any character. Behind it: the state, field 3.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = |number: usize| {
            fields
                .split_whitespace()
                .nth(number - 3)?
                .parse::<f64>()
                .ok()
        };
        let kibibytes = |name: &str| Some(1024 * first_number(status, name)?);
        let booted = first_number(machine, "btime ");
        let (user, system) = (ticks(14), ticks(15));
        Self {
            cpu_seconds: user
                .zip(system)
                .map(|(user, system)| (user + system) / TICKS),
            start_seconds: booted
                .zip(ticks(22))
                .map(|(at, after)| at as f64 + after / TICKS),
            resident_bytes: kibibytes("VmRSS:"),
            virtual_bytes: kibibytes("VmSize:"),
            threads: first_number(status, "Threads:"),
            open_fds: None,
            max_fds: first_number(limits, "Max open files "),
        }
    }

    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let seconds = Unit::Seconds;
        if let Some(value) = self.cpu_seconds {
            let counter = ConstCounter::new(value);
            let help = "Time on the CPU, of the user and the system.";
            let kind = counter.metric_type();
            counter.encode(encoder.encode_descriptor(
                "process_cpu",
                help,
                Some(&seconds),
                kind,
            )?)?;
        }
        if let Some(value) = self.start_seconds {
            let gauge = ConstGauge::new(value);
            let help = "When the process was started, in seconds since 1970.";
            let (name, kind) = ("process_start_time", gauge.metric_type());
            gauge.encode(encoder.encode_descriptor(name, help, Some(&seconds), kind)?)?;
        }
        let bytes = Unit::Bytes;
        for (name, help, unit, value) in [
            (
                "process_resident_memory",
                "Memory that is resident.",
                Some(&bytes),
                self.resident_bytes,
            ),
            (
                "process_virtual_memory",
                "Memory that is mapped.",
                Some(&bytes),
                self.virtual_bytes,
            ),
            ("process_threads", "Threads.", None, self.threads),
            (
                "process_open_fds",
                "Open file descriptors.",
                None,
                self.open_fds,
            ),
            (
                "process_max_fds",
                "How many file descriptors may be open.",
                None,
                self.max_fds,
            ),
        ] {
            if let Some(value) = value {
                let gauge = ConstGauge::new(value);
                let kind = gauge.metric_type();
                gauge.encode(encoder.encode_descriptor(name, help, unit, kind)?)?;
            }
        }
        Ok(())
    }
}

/// The number behind a name at the beginning of a line. `None` for `unlimited`.
fn first_number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_files_say() {
        // Not outside of the function: in the bench, which has this file too, there are no tests.
        use super::Figures;

        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 9 0 12345 1 2 3";
        let machine = "cpu  1 2 3\nbtime 1700000000\nprocesses 9\n";
        let status = "Name:\ta\nVmSize:\t   2048 kB\nVmRSS:\t    1024 kB\nThreads:\t9\n";
        let limits = "Limit Soft Limit Hard Limit Units\nMax open files            1024      4096      files\n";
        let expected = Figures {
            cpu_seconds: Some(3.0),
            start_seconds: Some(1_700_000_123.45),
            resident_bytes: Some(1_048_576),
            virtual_bytes: Some(2_097_152),
            threads: Some(9),
            open_fds: None,
            max_fds: Some(1024),
        };
        assert_eq!(Figures::of(stat, machine, status, limits), expected);
        assert_eq!(Figures::of("", "", "", ""), Figures::default());
        let unlimited = "Max open files            unlimited      unlimited      files\n";
        assert_eq!(Figures::of("", "", "", unlimited), Figures::default());
    }
}
