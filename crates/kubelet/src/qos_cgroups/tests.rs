use super::*;

#[test]
fn all_pods_get_what_the_node_has_burstable_what_is_asked_for_and_best_effort_the_least() {
    let text = |burstable: i64| {
        let line = |(path, limits): (String, ClassLimits)| {
            format!("{path} {} {:?}", limits.cpu_shares, limits.memory_bytes)
        };
        wanted("podo-1", 2000, 1 << 30, burstable).map(line)
    };
    let rest = ["/podo-1/kubepods 2048 Some(1073741824)", "/podo-1/kubepods/besteffort 2 None"];
    for (asked, expected) in [(0, 2), (1, 2), (250, 256), (1500, 1536)] {
        let burstable = format!("/podo-1/kubepods/burstable {expected} None");
        assert_eq!(text(asked), [rest[0], &burstable, rest[1]]);
    }
}
