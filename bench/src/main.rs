mod call; mod caller; mod chance;
fn main() {
    let mut a = std::env::args().skip(1);
    let bridge = a.next().unwrap(); let hold = a.next().unwrap().parse().unwrap(); let rounds = a.next().unwrap().parse().unwrap();
    let programs = a.collect();
    caller::run(&caller::Errand{bridge, hold, rounds, programs}, &mut std::io::stdout().lock()).unwrap();
}
