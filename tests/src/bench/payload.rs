//! What travels in the benchmarks.

/// The `number`th message: 1 KB of JSON with many small fields.
pub fn payload(number: usize) -> String {
    let fields: Vec<String> =
        (0..44).map(|field| format!("\"field{field:02}\":\"{:08}\"", number * 31 + field)).collect();
    format!(
        "{{\"id\":{number},\"ip\":\"203.0.113.{}\",\"user\":{{\"name\":\"Mia Okafor\",\"email\":\"mia@example.org\"}},\"ok\":true,{}}}",
        number % 254 + 1,
        fields.join(",")
    )
}
