//! A run small enough for every test run: no false alarm, no leak called steady, most leaks found.

use seepmeter_judgement_bench::run::{LENGTHS, Plan, run};
use seepmeter_judgement_bench::{Health, Spacing, Split, table};

#[test]
fn a_few_draws_of_every_shape_raise_no_false_alarm() {
    let plan = Plan {
        split: Split::Tuning,
        spacing: Spacing::Even,
        draws: 2,
        lengths: vec![LENGTHS[0], LENGTHS[1]],
        only: String::new(),
        baselines: false,
        unsure: false,
    };
    let rows = run(&plan);
    for length in [LENGTHS[0], LENGTHS[1]] {
        let healthy = table::total(&rows, Health::Healthy, length);
        assert!(healthy.draws() >= 40);
        assert_eq!(
            healthy.growing,
            0,
            "healthy called growing at ×{length}:\n{}",
            table::by_shape(&rows)
        );
        let leaky = table::total(&rows, Health::Leaky, length);
        assert_eq!(
            leaky.steady,
            0,
            "leaky called steady at ×{length}:\n{}",
            table::by_shape(&rows)
        );
    }
    let leaky = table::total(&rows, Health::Leaky, LENGTHS[1]);
    assert!(leaky.growing * 10 >= leaky.draws() * 9, "{}", table::by_shape(&rows));
}

#[test]
fn there_are_enough_shapes_and_each_draw_is_the_same_every_time() {
    let shapes = seepmeter_judgement_bench::shapes();
    let count = |health| shapes.iter().filter(|s| s.health == health).count();
    assert!(count(Health::Healthy) >= 20 && count(Health::Leaky) >= 12);
    let whole = |split| shapes[1].drawn(split, 1.0, 5, Spacing::Even).whole;
    assert_eq!(whole(Split::Tuning), whole(Split::Tuning));
    assert_ne!(whole(Split::Tuning), whole(Split::Reported));
}
