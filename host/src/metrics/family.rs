//! Numbers that are kept elsewhere, as the exposition takes them.

use super::histogram::Seen;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// One family of numbers that somebody else keeps, at the moment of a look.
#[derive(Debug)]
pub struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    samples: Vec<Metric>,
}

impl Family {
    /// Numbers that only grow; `name` ends in `_total`.
    pub fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricType::COUNTER, samples: Vec::new() }
    }

    /// Numbers that go up and down.
    pub fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricType::GAUGE, samples: Vec::new() }
    }

    /// How long something took, in buckets; `name` ends in `_seconds`.
    pub(super) fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricType::HISTOGRAM, samples: Vec::new() }
    }

    /// The value under `labels`, each of which is a name and a value.
    pub fn add(&mut self, labels: &[(&'static str, &str)], value: f64) {
        let mut metric = labelled(labels);
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.samples.push(metric);
    }

    /// The same with one value.
    #[must_use]
    pub fn of(mut self, labels: &[(&'static str, &str)], value: f64) -> Self {
        self.add(labels, value);
        self
    }

    /// What a histogram under `labels` has seen.
    pub(super) fn add_seen(&mut self, labels: &[(&'static str, &str)], seen: Seen) {
        let mut metric = labelled(labels);
        let mut histogram = Histogram::default();
        histogram.set_sample_count(seen.count);
        histogram.set_sample_sum(seen.sum);
        let bucket = |(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        };
        histogram.set_bucket(seen.buckets.into_iter().map(bucket).collect());
        metric.set_histogram(histogram);
        self.samples.push(metric);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    pub(super) fn into_proto(self) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(self.kind);
        family.set_metric(self.samples);
        family
    }
}

fn labelled(labels: &[(&'static str, &str)]) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}
