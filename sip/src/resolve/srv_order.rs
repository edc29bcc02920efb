//! The order of SRV records: by priority, then by the weighted draw of RFC 2782.

use super::Srv;

/// Sorts by priority and draws within each. `random(n)` gives a number from 0 to n inclusive.
pub(super) fn ordered(mut records: Vec<Srv>, random: &mut dyn FnMut(u32) -> u32) -> Vec<Srv> {
    // Weight 0 goes first, as RFC 2782 wants it: so it has a small chance too.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority;
        let group = records.iter().take_while(|record| record.priority == priority);
        let total: u32 = group.map(|record| u32::from(record.weight)).sum();
        let mark = random(total).min(total);
        let mut sum = 0;
        let drawn = records.iter().position(|record| {
            sum += u32::from(record.weight);
            sum >= mark
        });
        ordered.push(records.remove(drawn.expect("the sum of the group reaches any mark within it")));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(records: &[(u16, u16)], draws: &[u32], want: &str) {
        let records = records.iter().enumerate().map(|(place, &(priority, weight))| Srv {
            priority,
            weight,
            port: 1,
            target: format!("{place}"),
        });
        let mut draws = draws.iter().copied();
        let ordered = ordered(records.collect(), &mut |_| draws.next().unwrap_or(0));
        assert_eq!(ordered.iter().map(|record| record.target.as_str()).collect::<String>(), want);
    }

    #[test]
    fn priority_comes_first_and_weight_decides_by_lot() {
        check(&[(20, 0), (10, 0), (30, 0)], &[], "102");
        check(&[(10, 60), (10, 20), (10, 20)], &[0, 0, 0], "120");
        check(&[(10, 60), (10, 20), (10, 20)], &[100, 40, 0], "021");
        check(&[(10, 60), (10, 20), (10, 20)], &[21, 60, 0], "201");
        check(&[(10, 0), (10, 100)], &[0], "01");
        check(&[(10, 0), (10, 100)], &[1], "10");
        check(&[(10, 5), (5, 5)], &[9999, 9999], "10");
        check(&[], &[], "");
    }

    #[test]
    fn heavy_records_win_in_proportion() {
        let record = |weight| Srv { priority: 1, weight, port: 1, target: weight.to_string() };
        let mut seed = 7_u32;
        let mut random = |max: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % (max + 1)
        };
        let heavy =
            (0..1000).filter(|_| ordered(vec![record(10), record(90)], &mut random)[0].weight == 90).count();
        assert!((850..950).contains(&heavy), "{heavy}");
    }
}
