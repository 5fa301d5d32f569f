use std::collections::BTreeMap;

use super::setting::weight_of_shares;
use super::*;

const V1: &str = "\
24 22 0:1 / /sys/fs/cgroup rw - tmpfs tmpfs rw
25 24 0:2 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
26 24 0:3 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
27 24 0:4 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
28 24 0:5 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio
29 24 0:6 /part /mnt rw - cgroup cgroup rw,pids
";
const UNIFIED: &str = "30 24 0:7 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n";

#[test]
fn the_layout_is_read_from_mountinfo() {
    let v1 = Layout::parse(V1);
    assert_eq!(v1.mount_of("cpuacct"), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct")));
    assert_eq!(v1.mount_of("memory"), Some(Path::new("/sys/fs/cgroup/memory")));
    assert_eq!(v1.mount_of("pids"), None, "a bind of a part is not a hierarchy");
    assert_eq!(v1.mounts().count(), 3, "blkio is not used");
    let hybrid = Layout::parse(&format!("{V1}{UNIFIED}"));
    assert!(!hybrid.has_v2_controllers() && hybrid.unified().is_some());
    assert_eq!(hybrid.mount_of("pids"), None);
    let v2 = Layout::parse(UNIFIED);
    assert!(v2.has_v2_controllers() && v2.is_v2("memory"));
    assert_eq!(v2.mount_of("memory"), v2.unified());
    assert_eq!(Layout::parse("nonsense\n"), Layout::default());
}

#[test]
fn shares_become_weights_by_the_curve_of_runc_1_3_2() {
    for (shares, weight) in
        [(0, 1), (2, 1), (102, 17), (1024, 100), (2048, 174), (262_144, 10_000), (u64::MAX, 10_000)]
    {
        assert_eq!(weight_of_shares(shares), weight, "{shares}");
    }
}

/// A directory that looks like a cgroup v2 hierarchy with one cgroup `pods/c`.
struct Fake(PathBuf);

impl Fake {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir()
            .join(format!("podotest-runtime-cgroup-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for directory in [root.clone(), root.join("pods"), root.join("pods/c")] {
            fs::create_dir_all(&directory).unwrap();
            for (file, text) in [
                ("cgroup.controllers", "cpu memory pids"),
                ("cgroup.subtree_control", ""),
                ("cgroup.procs", ""),
                ("cgroup.freeze", ""),
                ("cgroup.kill", ""),
                ("cpu.weight", ""),
                ("cpu.max", ""),
                ("cpu.stat", "usage_usec 1234\nuser_usec 1000\n"),
                ("memory.max", "4096\n"),
                ("memory.swap.max", ""),
                ("memory.oom.group", ""),
                ("memory.current", "3000\n"),
                (
                    "memory.stat",
                    "anon 1000\nfile 2000\ninactive_file 500\npgfault 7\npgmajfault 2\n",
                ),
                ("memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n"),
                ("pids.max", ""),
                ("pids.current", "5\n"),
                ("memory.min", ""),
            ] {
                fs::write(directory.join(file), text).unwrap();
            }
        }
        Self(root)
    }

    fn cgroup(&self) -> Cgroup {
        let line = format!("30 24 0:7 / {} rw - cgroup2 cgroup2 rw\n", self.0.display());
        Cgroup::new(&Layout::parse(&line), "pods/c")
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn v2_limits_are_written_in_its_own_terms() {
    let fake = Fake::new("limits");
    let resources = Resources {
        cpu_shares: Some(1024),
        cpu_quota_us: Some(50_000),
        cpu_period_us: Some(100_000),
        memory_limit_bytes: Some(1 << 20),
        memory_swap_bytes: Some(3 << 20),
        pids_limit: Some(-1),
        oom_group: true,
        unified: BTreeMap::from([("memory.min".into(), "4096".into())]),
        ..Resources::default()
    };
    fake.cgroup().set(&resources).unwrap();
    assert_eq!(fake.text("pods/c/cpu.weight"), "100");
    assert_eq!(fake.text("pods/c/cpu.max"), "50000 100000");
    assert!(fake.text("pods/c/memory.max").starts_with("1048576"));
    assert_eq!(fake.text("pods/c/memory.swap.max"), "2097152");
    assert_eq!(fake.text("pods/c/memory.oom.group"), "1");
    assert_eq!(fake.text("pods/c/memory.min"), "4096");
    assert_eq!(fake.text("pods/c/pids.max"), "max");
}

#[test]
fn a_v2_file_name_cannot_lead_elsewhere() {
    let fake = Fake::new("escape");
    let unified = BTreeMap::from([("../memory.min".into(), "1".into())]);
    assert!(fake.cgroup().set(&Resources { unified, ..Resources::default() }).is_err());
}

#[test]
fn v2_controllers_are_handed_down() {
    let fake = Fake::new("controllers");
    fake.cgroup().create().unwrap();
    assert_eq!(fake.text("cgroup.subtree_control"), "+cpu +memory +pids");
    assert_eq!(fake.text("pods/cgroup.subtree_control"), "+cpu +memory +pids");
    assert_eq!(fake.text("pods/c/cgroup.subtree_control"), "", "the leaf holds processes");
}

#[test]
fn v2_statistics_and_oom_kills_are_read() {
    let fake = Fake::new("stats");
    let stats = fake.cgroup().stats().unwrap();
    let expected = Stats {
        cpu_usage_ns: 1_234_000,
        memory_usage_bytes: 3000,
        memory_working_set_bytes: 2500,
        memory_rss_bytes: 1000,
        memory_limit_bytes: Some(4096),
        page_faults: 7,
        major_page_faults: 2,
        pids: 5,
        ..Stats::default()
    };
    assert_eq!(stats, expected);
    assert_eq!(fake.cgroup().oom_kills(), 2);
}

#[test]
fn v2_freezing_and_killing_use_its_files() {
    let fake = Fake::new("kill");
    fake.cgroup().freeze(true).unwrap();
    assert_eq!(fake.text("pods/c/cgroup.freeze"), "1");
    fake.cgroup().kill();
    assert_eq!(fake.text("pods/c/cgroup.kill"), "1");
}
