use super::*;

/// One image per word: `name:size:used-ago[:flags]`, where flags are `u`sed, `p`inned, `n`ew.
#[track_caller]
fn check(usage_percent: u64, age_max_seconds: Option<u64>, images: &[&str], expected: &str) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let candidates: Vec<Candidate> = images
        .iter()
        .map(|text| {
            let mut parts = text.split(':');
            let mut next = || parts.next().unwrap_or_default();
            let (name, size, used, flags) = (next(), next(), next(), next());
            let ago = |seconds: u64| now - Duration::from_secs(seconds);
            Candidate {
                id: Digest::sha256(name.as_bytes()),
                size_bytes: size.parse().expect("size"),
                used_at: ago(used.parse().expect("used")),
                created_at: ago(if flags.contains('n') { 10 } else { 100_000 }),
                is_in_use: flags.contains('u'),
                is_pinned: flags.contains('p'),
            }
        })
        .collect();
    let disk = Disk { capacity_bytes: 1000, available_bytes: 1000 - usage_percent * 10 };
    let policy = Policy { age_max: age_max_seconds.map(Duration::from_secs), ..Policy::default() };
    let plan = plan(&policy, disk, &candidates, now);
    let name_of = |id: &Digest| {
        images
            .iter()
            .filter_map(|text| text.split(':').next())
            .find(|name| Digest::sha256(name.as_bytes()) == *id)
    };
    let names: Vec<&str> = plan.remove.iter().filter_map(name_of).collect();
    let short = if plan.shortfall().is_some() { "; short" } else { "" };
    assert_eq!(format!("{}{short}", names.join(" ")), expected);
}

#[test]
fn below_the_high_threshold_nothing_goes() {
    check(84, None, &["a:500:900"], "");
}

#[test]
fn above_it_the_least_recently_used_go_until_the_low_threshold() {
    // 90 % used: 100 bytes must be freed to come to 80 %.
    check(90, None, &["a:60:10", "b:60:900", "c:60:500"], "b c");
    check(85, None, &["a:60:10", "b:60:900"], "b");
}

#[test]
fn used_pinned_and_new_images_stay_and_the_shortfall_is_said() {
    check(90, None, &["a:900:900:u", "b:900:900:p", "c:900:900:n"], "; short");
    check(90, None, &["a:900:900:u", "b:50:1"], "b; short");
}

#[test]
fn too_old_images_go_whatever_the_disk() {
    check(10, Some(600), &["a:5:900", "b:5:500", "c:5:900:u"], "a");
}

#[test]
fn an_empty_or_strange_disk_is_no_reason() {
    let disk = Disk { capacity_bytes: 0, available_bytes: 0 };
    assert_eq!(plan(&Policy::default(), disk, &[], SystemTime::UNIX_EPOCH), Plan::default());
    let disk = Disk { capacity_bytes: 10, available_bytes: 20 };
    assert_eq!(plan(&Policy::default(), disk, &[], SystemTime::UNIX_EPOCH), Plan::default());
}
