use super::*;

#[track_caller]
fn check(mut tabs: Tabs, text: &str, expected: &str) {
    tabs.push(text);
    assert_eq!(tabs.finish(), expected);
}

#[test]
fn a_column_is_as_wide_as_its_widest_neighbour_and_the_last_cell_has_no_padding() {
    check(Tabs::table(), "NAME\tAGE\nlonger-name\t1s\n", "NAME          AGE\nlonger-name   1s\n");
    check(Tabs::table(), "A\tB\nx\ty\n", "A     B\nx     y\n");
}

#[test]
fn a_line_without_a_cell_ends_the_column_above_it() {
    check(
        Tabs::described(),
        "Name:\tx\nLong Label:\ty\nTitle:\n  a:\tb\n",
        "Name:        x\nLong Label:  y\nTitle:\n  a:  b\n",
    );
}

#[test]
fn an_empty_cell_keeps_its_place() {
    check(Tabs::described(), "a\tb\tc\n\t\tlonger\n", "a  b  c\n      longer\n");
}

#[test]
fn a_later_table_keeps_the_widths_of_an_earlier_one() {
    let mut tabs = Tabs::table();
    tabs.push("a-long-name\tx\n");
    tabs.finish();
    check(tabs, "b\ty\n", "b             y\n");
}

#[test]
fn text_cannot_move_the_terminal() {
    assert_eq!(tame("a\u{1b}[31mb\rc"), "a^[[31mb\\rc");
}
