//! The tasks of a job: their indices, and what each finds in its environment because of its own.

use std::ops::RangeInclusive;

use super::{JobSpec, MAX_TASKS, Problem};

/// Where a task finds its item.
pub const ITEM: &str = "DX_ITEM";

impl JobSpec {
    /// The indices of its tasks: ascending, no two ranges touch.
    ///
    /// # Errors
    /// What is wrong with `array`.
    pub fn indices(&self) -> Result<Vec<RangeInclusive<u32>>, String> {
        let all = self.table();
        let Some(array) = &self.array else {
            let count = all.unwrap_or(1);
            let last = u32::try_from(count).ok().filter(|count| *count <= MAX_TASKS);
            return match last {
                Some(0) => Ok(Vec::new()),
                Some(count) => Ok(vec![0..=count - 1]),
                None => Err(too_many(count)),
            };
        };
        let ranges = merged(parsed(array)?);
        let count: u64 = ranges.iter().map(|it| u64::from(it.end() - it.start()) + 1).sum();
        if count > u64::from(MAX_TASKS) {
            return Err(too_many(count));
        }
        match (all, ranges.last()) {
            (Some(all), Some(last)) if u64::from(*last.end()) >= all => {
                let index = last.end();
                Err(format!("there is no index {index}: `items` or `matrix` have {all}, from 0"))
            }
            _ => Ok(ranges),
        }
    }

    /// What the task of this index has in its environment beyond the others, with what stands there
    /// literally: its item, or its value of each axis of the matrix.
    #[must_use]
    pub fn variables(&self, index: u32) -> Vec<(&str, &str)> {
        if let Some(item) = self.items.get(index as usize) {
            return vec![(ITEM, item)];
        }
        let mut left = index as usize;
        let mut variables = Vec::with_capacity(self.matrix.len());
        for (name, values) in self.matrix.iter().rev() {
            let Some(value) = values.get(left % values.len().max(1)) else { return Vec::new() };
            variables.push((name.as_str(), value.as_str()));
            left /= values.len();
        }
        variables.reverse();
        variables
    }

    /// Whether it may have several tasks, also where it happens to have one.
    #[must_use]
    pub fn is_array(&self) -> bool {
        self.array.is_some() || self.table().is_some()
    }

    /// How many indices `items` or `matrix` have, if there is one of them.
    fn table(&self) -> Option<u64> {
        if !self.items.is_empty() {
            return Some(self.items.len() as u64);
        }
        let counts = self.matrix.values().map(|values| values.len() as u64);
        (!self.matrix.is_empty()).then(|| counts.fold(1, u64::saturating_mul))
    }

    pub(super) fn check_array(&self, problems: &mut Vec<Problem>) {
        if !self.items.is_empty() && !self.matrix.is_empty() {
            let what = "there are `items`, too: give one of them";
            problems.push(Problem::new("matrix", what));
        }
        for (at, item) in self.items.iter().enumerate() {
            if item.contains('\0') {
                problems.push(Problem::new(format!("items.{at}"), "it has a zero byte"));
            }
        }
        for (name, values) in &self.matrix {
            let key = format!("matrix.{name}");
            if name.is_empty() || name.contains(['=', '\0']) {
                problems
                    .push(Problem::new(&key, "a name is not empty and has no `=` and no zeros"));
            } else if self.environment.contains_key(name) {
                let what = "the environment of all tasks has it, too: give one of them";
                problems.push(Problem::new(&key, what));
            }
            if values.is_empty() {
                problems.push(Problem::new(&key, "it has no values: then there are no tasks"));
            }
            if values.iter().any(|value| value.contains('\0')) {
                problems.push(Problem::new(&key, "a value has a zero byte"));
            }
        }
        if let Err(what) = self.indices() {
            problems.push(Problem::new("array", what));
        }
    }
}

fn too_many(count: u64) -> String {
    format!("it has {count} tasks; at most {MAX_TASKS} are taken")
}

fn parsed(array: &str) -> Result<Vec<RangeInclusive<u32>>, String> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
            (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
            _ => Err(format!("`{part}` is no range: write `0-99` or `1,4,7-9`")),
        }
    };
    array.split(',').map(range).collect()
}

/// The same indices, ascending, in ranges of which no two touch.
fn merged(mut ranges: Vec<RangeInclusive<u32>>) -> Vec<RangeInclusive<u32>> {
    ranges.sort_by_key(|range| *range.start());
    let mut merged: Vec<RangeInclusive<u32>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if u64::from(*range.start()) <= u64::from(*last.end()) + 1 => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: &str) -> JobSpec {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn each_item_is_a_task_that_finds_it_literally() {
        let spec = spec(r#"{"items": ["a b", "$(id)", "it's\n"]}"#);
        assert_eq!(spec.indices(), Ok(vec![0..=2]));
        assert_eq!(spec.variables(1), [(ITEM, "$(id)")]);
        assert_eq!(spec.variables(2), [(ITEM, "it's\n")]);
    }

    #[test]
    fn a_matrix_has_each_combination_once_and_its_last_axis_goes_first() {
        let spec = spec(r#"{"matrix": {"OS": ["a", "b"], "SEED": ["1", "2", "3"]}}"#);
        assert_eq!(spec.indices(), Ok(vec![0..=5]));
        let all: Vec<_> = (0..6).map(|index| spec.variables(index)).collect();
        assert_eq!(all[0], [("OS", "a"), ("SEED", "1")]);
        assert_eq!(all[1], [("OS", "a"), ("SEED", "2")]);
        assert_eq!(all[5], [("OS", "b"), ("SEED", "3")]);
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), 6);
    }

    #[test]
    fn indices_choose_among_items() {
        let chosen = spec(r#"{"items": ["a", "b", "c"], "array": "0,2"}"#);
        assert_eq!(chosen.indices(), Ok(vec![0..=0, 2..=2]));
        let beyond = spec(r#"{"items": ["a", "b", "c"], "array": "2-3"}"#).indices().unwrap_err();
        assert_eq!(beyond, "there is no index 3: `items` or `matrix` have 3, from 0");
    }

    #[test]
    fn a_job_without_any_of_it_is_one_task_with_nothing_of_its_own() {
        let plain = spec("{}");
        assert_eq!((plain.indices(), plain.variables(0)), (Ok(vec![0..=0]), Vec::new()));
        let array = spec(r#"{"array": "5-6,1"}"#);
        assert_eq!((array.indices(), array.variables(5)), (Ok(vec![1..=1, 5..=6]), Vec::new()));
    }

    #[test]
    fn what_cannot_be_is_told_by_its_key() {
        for (json, key) in [
            (r#"{"items": ["a"], "matrix": {"X": ["1"]}}"#, "matrix"),
            (r#"{"items": ["a", "\u0000"]}"#, "items.1"),
            (r#"{"matrix": {"X": []}}"#, "matrix.X"),
            (r#"{"matrix": {"A=B": ["1"]}}"#, "matrix.A=B"),
            (r#"{"matrix": {"X": ["1"]}, "environment": {"X": "2"}}"#, "matrix.X"),
            (r#"{"array": "3-1"}"#, "array"),
        ] {
            let mut spec = spec(json);
            spec.commands = vec![crate::job::Command { exec: vec!["true".to_owned()] }];
            let keys: Vec<String> = spec.problems().into_iter().map(|it| it.key).collect();
            assert!(keys.contains(&key.to_owned()), "{json}: {keys:?}");
        }
        let axis: Vec<String> = (0..4000).map(|it| it.to_string()).collect();
        let matrix = [("A".to_owned(), axis.clone()), ("B".to_owned(), axis)].into();
        let huge = JobSpec { matrix, ..JobSpec::default() };
        assert_eq!(huge.indices(), Err(too_many(16_000_000)));
    }
}
