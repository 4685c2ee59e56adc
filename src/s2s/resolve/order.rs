//! The order in which the machines of SRV records are tried (RFC 2782).

use super::Srv;

/// Sorts by priority, and records of one priority by chance, according to their weights. `random` returns a number below
/// its argument, which is not 0.
pub(super) fn order<T>(
    mut all: Vec<(Srv, T)>,
    mut random: impl FnMut(u64) -> u64,
) -> Vec<(Srv, T)> {
    // Those with weight 0 first, as RFC 2782 wants it: so they have a small chance, too.
    all.sort_by_key(|(srv, _)| (srv.priority, srv.weight != 0));
    let mut sorted = Vec::with_capacity(all.len());
    while let Some((first, _)) = all.first() {
        let priority = first.priority;
        let group = all.iter().take_while(|(srv, _)| srv.priority == priority);
        let weights: Vec<_> = group.map(|(srv, _)| u64::from(srv.weight)).collect();
        let mut chosen = random(weights.iter().sum::<u64>() + 1);
        let place = weights.iter().position(|weight| {
            let is_it = chosen <= *weight;
            chosen = chosen.saturating_sub(*weight);
            is_it
        });
        sorted.push(all.remove(place.unwrap_or(0)));
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16) -> (Srv, ()) {
        (Srv { priority, weight, port: 1, target: format!("{priority}-{weight}") }, ())
    }

    fn names(sorted: &[(Srv, ())]) -> Vec<&str> {
        sorted.iter().map(|(srv, ())| srv.target.as_str()).collect()
    }

    #[test]
    fn priorities_come_before_weights() {
        let all = || vec![srv(20, 0), srv(10, 60), srv(10, 0), srv(10, 40), srv(5, 1)];
        let sorted = order(all(), |_| 0);
        assert_eq!(names(&sorted), ["5-1", "10-0", "10-60", "10-40", "20-0"]);
        let sorted = order(all(), |below| below - 1);
        assert_eq!(names(&sorted), ["5-1", "10-40", "10-60", "10-0", "20-0"]);
        let sorted = order(all(), |below| below / 2);
        assert_eq!(names(&sorted), ["5-1", "10-60", "10-40", "10-0", "20-0"]);
        assert!(order(Vec::<(Srv, ())>::new(), |_| 0).is_empty());
    }

    #[test]
    fn each_record_comes_once_whatever_chance_says() {
        for seed in 0..200_u64 {
            let mut state = seed;
            let sorted = order(vec![srv(1, 0), srv(1, 0), srv(1, 9), srv(2, 3)], |below| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) % below
            });
            assert_eq!(sorted.len(), 4);
            assert_eq!(sorted[3].0.priority, 2);
        }
    }
}
