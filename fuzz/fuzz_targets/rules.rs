#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = vmnet_fuzz_targets::rules::rules(bytes);
});
