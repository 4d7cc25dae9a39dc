//! A Gristmill filter in Zig: checks a notification, drops what is private, and says whom it is for.

const std = @import("std");

/// EX_DATAERR of sysexits.h: this message can never work.
const reject = 65;
const longest = 16 << 20;

const Config = struct { private: []const u8 = "ip" };

pub fn main() !void {
    const memory = std.heap.wasm_allocator;
    const environment = try std.process.getEnvMap(memory);
    const config = try std.json.parseFromSliceLeaky(Config, memory, environment.get("GRISTMILL_CONFIG") orelse "{}", .{});
    const payload = try std.fs.File.stdin().readToEndAlloc(memory, longest);

    var parsed = std.json.parseFromSliceLeaky(std.json.Value, memory, payload, .{}) catch |err|
        end("not JSON: {s}", .{@errorName(err)});
    if (parsed != .object) end("no notification: it is no object", .{});
    const user = text(parsed.object.get("user"));
    if (text(parsed.object.get("text")) == null or user == null)
        end("no notification: `user` and `text` are to be strings", .{});
    if (std.mem.indexOfAny(u8, user.?, "\r\n") != null)
        end("no notification: `user` holds a line break, which no header can", .{});
    _ = parsed.object.orderedRemove(config.private);

    // With mode = "cgi" the output begins with headers and an empty line.
    const rest = try std.json.Stringify.valueAlloc(memory, parsed, .{});
    const output = try std.fmt.allocPrint(memory, "user: {s}\n\n{s}", .{ user.?, rest });
    try std.fs.File.stdout().writeAll(output);
}

/// The string that `value` is, if it is one.
fn text(value: ?std.json.Value) ?[]const u8 {
    return switch (value orelse return null) {
        .string => |string| string,
        else => null,
    };
}

/// Says why, as the last line on stderr, and exits.
fn end(comptime format: []const u8, arguments: anytype) noreturn {
    std.debug.print(format ++ "\n", arguments);
    std.process.exit(reject);
}
