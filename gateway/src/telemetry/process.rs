//! What the process uses, under the names that dashboards for Prometheus know: processor, memory, descriptors, threads. Read from the system when
//! somebody asks.

use procfs::{WithCurrentSystemInfo, process::LimitValue};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

/// This process.
#[derive(Debug)]
pub struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        // Where the system hides it, nothing is shown.
        let Ok(process) = procfs::process::Process::myself() else { return Ok(()) };
        let mut show = |name: &str, help: &str, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        if let Ok(stat) = process.stat() {
            let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
            let used = ConstCounter::new(seconds(stat.utime + stat.stime));
            show("process_cpu_seconds", "Seconds of the processor, for the user and the system.", &used)?;
            let resident = ConstGauge::new(stat.rss_bytes().get() as f64);
            show("process_resident_memory_bytes", "Memory that is in use.", &resident)?;
            let virtual_memory = ConstGauge::new(stat.vsize as f64);
            show("process_virtual_memory_bytes", "Memory that is set aside.", &virtual_memory)?;
            show("process_threads", "Threads.", &ConstGauge::new(stat.num_threads as f64))?;
            if let Ok(boot) = procfs::boot_time_secs() {
                let began = ConstGauge::new(boot as f64 + seconds(stat.starttime));
                show("process_start_time_seconds", "When the process began, in seconds since 1970.", &began)?;
            }
        }
        if let Ok(open) = process.fd_count() {
            show("process_open_fds", "Descriptors that are open.", &ConstGauge::new(open as f64))?;
        }
        if let Ok(limits) = process.limits()
            && let LimitValue::Value(most) = limits.max_open_files.soft_limit
        {
            show("process_max_fds", "Descriptors that may be open.", &ConstGauge::new(most as f64))?;
        }
        Ok(())
    }
}
