//! The table: what was measured, what is aimed at, and what Kubernetes v1.36 needed on a machine of this size.

use std::fmt;

/// One row.
struct Row {
    what: &'static str,
    measured: String,
    target: &'static str,
    upstream: &'static str,
}

/// All rows so far.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// Adds a row.
    pub(crate) fn row(
        &mut self,
        what: &'static str,
        measured: String,
        target: &'static str,
        upstream: &'static str,
    ) {
        podo_cluster_tests::note(&format!("  {what}: {measured} (target {target})"));
        self.0.push(Row { what, measured, target, upstream });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | Podo | target | Kubernetes v1.36 |\n|---|---|---|---|")?;
        for row in &self.0 {
            writeln!(f, "| {} | {} | {} | {} |", row.what, row.measured, row.target, row.upstream)?;
        }
        Ok(())
    }
}

/// The value below which a part of all values lies, by nearest rank.
pub(crate) fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a short list"
    )]
    let index = ((values.len() as f64 * part).ceil() as usize).saturating_sub(1);
    values.get(index).copied().unwrap_or(f64::NAN)
}

/// The middle value.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}
