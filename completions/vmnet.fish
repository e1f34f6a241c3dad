# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_vmnet_global_optspecs
    string join \n config-dir= state-dir= run-dir= h/help V/version
end

function __fish_vmnet_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_vmnet_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_vmnet_using_subcommand
    set -l cmd (__fish_vmnet_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c vmnet -n "__fish_vmnet_needs_command" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_needs_command" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_needs_command" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_needs_command" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_needs_command" -s V -l version -d 'Print version'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "up" -d 'Bring a network up, or make it again what its file says'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "down" -d 'Take a network down; what was there before `up` is there again'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "run" -d 'Bring a network up and keep it so, in the foreground'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "status" -d 'Show wanted beside actual; exit 0 as wanted, 3 not up, 4 drifted'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "list" -d 'List the networks'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "ports" -d 'Show who is plugged in, or take a port away'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "leases" -d 'Show the leases'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "forward" -d 'Lead ports of this host to guests'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "host" -d 'Reserve names and addresses for guests'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "exec" -d 'Run a program with a port of its own as an inherited descriptor'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "tap" -d 'Make TAPs for programs that open theirs by name'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "attach" -d 'Give a network namespace an interface on a network'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "detach" -d 'Take it away again'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "cable" -d 'Join a network with another one, or with a VDE switch'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "wire" -d 'The processes of a switch, started by `up` and the keeper'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "snippet" -d 'Print what makes a program use a network'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "broker" -d 'Serve the helper where it has no rights of its own'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "hook" -d 'Be called by other programs when theirs start and end'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "init" -d 'Write a commented file for a new network'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "check" -d 'Check the network files and the access rules'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "access" -d 'Say who may plug in, and which line says so'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "doctor" -d 'Find what on this host breaks guests\' networking, and say what cures it'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "account" -d 'The helper, which has no NSS, asks for an account\'s number'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "schema" -d 'Print the JSON Schema of the network files, for editors'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "completions" -d 'Print the completions for a shell'
complete -c vmnet -n "__fish_vmnet_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vmnet -n "__fish_vmnet_using_subcommand up" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand up" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand up" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand up" -l dry-run -d 'Only say what would be done'
complete -c vmnet -n "__fish_vmnet_using_subcommand up" -l on-demand -d 'The helper asks: refuse where the network\'s file says `on_demand = false`'
complete -c vmnet -n "__fish_vmnet_using_subcommand up" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand down" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand down" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand down" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand down" -l force -d 'Even while guests are attached'
complete -c vmnet -n "__fish_vmnet_using_subcommand down" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand run" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand run" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand run" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand run" -l background -d 'Started by `up`: a session of its own, log to the system log'
complete -c vmnet -n "__fish_vmnet_using_subcommand run" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand status" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand status" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand status" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand status" -l json -d 'Print JSON'
complete -c vmnet -n "__fish_vmnet_using_subcommand status" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand list" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand list" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand list" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand list" -l json -d 'Print JSON'
complete -c vmnet -n "__fish_vmnet_using_subcommand list" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand ports" -l revoke -d 'Delete this port: whoever holds it is off the network at once' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand ports" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand ports" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand ports" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand ports" -l json -d 'Print JSON'
complete -c vmnet -n "__fish_vmnet_using_subcommand ports" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand leases" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand leases" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand leases" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand leases" -l watch -d 'Go on, and print each lease that is got, renewed or lost'
complete -c vmnet -n "__fish_vmnet_using_subcommand leases" -l json -d 'Print JSON'
complete -c vmnet -n "__fish_vmnet_using_subcommand leases" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and not __fish_seen_subcommand_from add rm list help" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and not __fish_seen_subcommand_from add rm list help" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and not __fish_seen_subcommand_from add rm list help" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and not __fish_seen_subcommand_from add rm list help" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and not __fish_seen_subcommand_from add rm list help" -f -a "add" -d 'Lead a port of this host to a guest, at once and after each restart'
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and not __fish_seen_subcommand_from add rm list help" -f -a "rm" -d 'Close a forward that was added so'
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and not __fish_seen_subcommand_from add rm list help" -f -a "list" -d 'List forwards: where they lead and how often they were used'
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and not __fish_seen_subcommand_from add rm list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from add" -l protocol -d 'tcp, udp or tcp+udp' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from add" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from add" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from add" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from add" -l json -d 'Print JSON'
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from rm" -l protocol -d 'Only the one of this protocol' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from rm" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from rm" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from rm" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from list" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from list" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from list" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from help" -f -a "add" -d 'Lead a port of this host to a guest, at once and after each restart'
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Close a forward that was added so'
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from help" -f -a "list" -d 'List forwards: where they lead and how often they were used'
complete -c vmnet -n "__fish_vmnet_using_subcommand forward; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and not __fish_seen_subcommand_from add rm list help" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and not __fish_seen_subcommand_from add rm list help" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and not __fish_seen_subcommand_from add rm list help" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and not __fish_seen_subcommand_from add rm list help" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and not __fish_seen_subcommand_from add rm list help" -f -a "add" -d 'Reserve a name and an address for the guest with this MAC'
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and not __fish_seen_subcommand_from add rm list help" -f -a "rm" -d 'Take a reservation back'
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and not __fish_seen_subcommand_from add rm list help" -f -a "list" -d 'List the reservations, those of the network\'s file too'
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and not __fish_seen_subcommand_from add rm list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from add" -l address6 -d 'The guest\'s IPv6 address' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from add" -l alias -d 'A further name; may be given several times' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from add" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from add" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from add" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from rm" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from rm" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from rm" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from list" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from list" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from list" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "add" -d 'Reserve a name and an address for the guest with this MAC'
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Take a reservation back'
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the reservations, those of the network\'s file too'
complete -c vmnet -n "__fish_vmnet_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vmnet -n "__fish_vmnet_using_subcommand exec" -l queues -d 'So many queues, one descriptor each' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand exec" -l vnet-hdr -d 'With virtio-net headers, or without' -r -f -a "on\t'Yes'
off\t'No'"
complete -c vmnet -n "__fish_vmnet_using_subcommand exec" -l mac -d 'What stands for `{mac}`, instead of a random one' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand exec" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand exec" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand exec" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand exec" -l vde -d 'A port on the network\'s VDE switch instead of a TAP: raw frames on a datagram socket'
complete -c vmnet -n "__fish_vmnet_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and not __fish_seen_subcommand_from add rm help" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and not __fish_seen_subcommand_from add rm help" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and not __fish_seen_subcommand_from add rm help" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and not __fish_seen_subcommand_from add rm help" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and not __fish_seen_subcommand_from add rm help" -f -a "add" -d 'Make a TAP that stays: attached, up, and its owner\'s to open'
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and not __fish_seen_subcommand_from add rm help" -f -a "rm" -d 'Remove one'
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and not __fish_seen_subcommand_from add rm help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and __fish_seen_subcommand_from add" -l owner -d 'Whose it is, by name or number; yourself if you are not root' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and __fish_seen_subcommand_from add" -l name -d 'What it is called; a free name is chosen if none is given' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and __fish_seen_subcommand_from add" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and __fish_seen_subcommand_from add" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and __fish_seen_subcommand_from add" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and __fish_seen_subcommand_from add" -l queues -d 'It may be opened several times, once for each queue'
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and __fish_seen_subcommand_from rm" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and __fish_seen_subcommand_from rm" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and __fish_seen_subcommand_from rm" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and __fish_seen_subcommand_from help" -f -a "add" -d 'Make a TAP that stays: attached, up, and its owner\'s to open'
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove one'
complete -c vmnet -n "__fish_vmnet_using_subcommand tap; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vmnet -n "__fish_vmnet_using_subcommand attach" -l pid -d 'That of this process' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand attach" -l netns -d 'The one at this path, or of this name in /run/netns' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand attach" -l address -d 'Its address there, `ADDRESS/LENGTH`; may be given several times' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand attach" -l ifname -d 'The interface in it' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand attach" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand attach" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand attach" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand attach" -l dhcp -d 'An address by DHCP, also where nothing else is said'
complete -c vmnet -n "__fish_vmnet_using_subcommand attach" -l json -d 'Print JSON'
complete -c vmnet -n "__fish_vmnet_using_subcommand attach" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand detach" -l pid -d 'That of this process' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand detach" -l netns -d 'The one at this path, or of this name in /run/netns' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand detach" -l ifname -d 'The interface in it' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand detach" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand detach" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand detach" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand detach" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand cable" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand cable" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand cable" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand cable" -l remove -d 'Take the cable away again'
complete -c vmnet -n "__fish_vmnet_using_subcommand cable" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and not __fish_seen_subcommand_from switch pump plug help" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and not __fish_seen_subcommand_from switch pump plug help" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and not __fish_seen_subcommand_from switch pump plug help" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and not __fish_seen_subcommand_from switch pump plug help" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and not __fish_seen_subcommand_from switch pump plug help" -f -a "switch" -d 'Become the VDE switch of a record'
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and not __fish_seen_subcommand_from switch pump plug help" -f -a "pump" -d 'Carry frames between a bridge and the switch of a record'
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and not __fish_seen_subcommand_from switch pump plug help" -f -a "plug" -d 'Plug all that hold ports into the switch of a record again'
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and not __fish_seen_subcommand_from switch pump plug help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from switch" -l record -d 'The record' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from switch" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from switch" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from switch" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from switch" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from pump" -l record -d 'The record' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from pump" -l cable -d 'It is this cable' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from pump" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from pump" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from pump" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from pump" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from plug" -l record -d 'The record' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from plug" -l plugs -d 'The directory of their sockets' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from plug" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from plug" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from plug" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from plug" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from help" -f -a "switch" -d 'Become the VDE switch of a record'
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from help" -f -a "pump" -d 'Carry frames between a bridge and the switch of a record'
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from help" -f -a "plug" -d 'Plug all that hold ports into the switch of a record again'
complete -c vmnet -n "__fish_vmnet_using_subcommand wire; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vmnet -n "__fish_vmnet_using_subcommand snippet" -l for -d 'The program' -r -f -a "qemu\t'QEMU'
libvirt\t'libvirt'
firecracker\t'Firecracker'
cloud-hypervisor\t'Cloud Hypervisor'
crosvm\t'crosvm'
lxc\t'LXC'
nspawn\t'systemd-nspawn'"
complete -c vmnet -n "__fish_vmnet_using_subcommand snippet" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand snippet" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand snippet" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand snippet" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vmnet -n "__fish_vmnet_using_subcommand broker" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand broker" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand broker" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand broker" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand hook; and not __fish_seen_subcommand_from libvirt help" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand hook; and not __fish_seen_subcommand_from libvirt help" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand hook; and not __fish_seen_subcommand_from libvirt help" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand hook; and not __fish_seen_subcommand_from libvirt help" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand hook; and not __fish_seen_subcommand_from libvirt help" -f -a "libvirt" -d 'Be /etc/libvirt/hooks/qemu.d/vmnet or network.d/vmnet'
complete -c vmnet -n "__fish_vmnet_using_subcommand hook; and not __fish_seen_subcommand_from libvirt help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vmnet -n "__fish_vmnet_using_subcommand hook; and __fish_seen_subcommand_from libvirt" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand hook; and __fish_seen_subcommand_from libvirt" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand hook; and __fish_seen_subcommand_from libvirt" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand hook; and __fish_seen_subcommand_from libvirt" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand hook; and __fish_seen_subcommand_from help" -f -a "libvirt" -d 'Be /etc/libvirt/hooks/qemu.d/vmnet or network.d/vmnet'
complete -c vmnet -n "__fish_vmnet_using_subcommand hook; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vmnet -n "__fish_vmnet_using_subcommand init" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand init" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand init" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand init" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand check" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand check" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand check" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand check" -l json -d 'Print JSON'
complete -c vmnet -n "__fish_vmnet_using_subcommand check" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand access" -l user -d 'Ask for this user, by name or number, instead of yourself' -r
complete -c vmnet -n "__fish_vmnet_using_subcommand access" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand access" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand access" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand access" -l json -d 'Print JSON'
complete -c vmnet -n "__fish_vmnet_using_subcommand access" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand doctor" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand doctor" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand doctor" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand doctor" -l fix -d 'Do the cures that take nothing from anybody'
complete -c vmnet -n "__fish_vmnet_using_subcommand doctor" -l json -d 'Print JSON'
complete -c vmnet -n "__fish_vmnet_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand account" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand account" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand account" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand account" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vmnet -n "__fish_vmnet_using_subcommand schema" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand schema" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand schema" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand schema" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand completions" -l config-dir -d 'Directory of the network files and access rules' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand completions" -l state-dir -d 'Directory of what outlives a reboot' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand completions" -l run-dir -d 'Directory of what does not' -r -F
complete -c vmnet -n "__fish_vmnet_using_subcommand completions" -s h -l help -d 'Print help'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "up" -d 'Bring a network up, or make it again what its file says'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "down" -d 'Take a network down; what was there before `up` is there again'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "run" -d 'Bring a network up and keep it so, in the foreground'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "status" -d 'Show wanted beside actual; exit 0 as wanted, 3 not up, 4 drifted'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "list" -d 'List the networks'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "ports" -d 'Show who is plugged in, or take a port away'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "leases" -d 'Show the leases'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "forward" -d 'Lead ports of this host to guests'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "host" -d 'Reserve names and addresses for guests'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "exec" -d 'Run a program with a port of its own as an inherited descriptor'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "tap" -d 'Make TAPs for programs that open theirs by name'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "attach" -d 'Give a network namespace an interface on a network'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "detach" -d 'Take it away again'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "cable" -d 'Join a network with another one, or with a VDE switch'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "wire" -d 'The processes of a switch, started by `up` and the keeper'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "snippet" -d 'Print what makes a program use a network'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "broker" -d 'Serve the helper where it has no rights of its own'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "hook" -d 'Be called by other programs when theirs start and end'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "init" -d 'Write a commented file for a new network'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "check" -d 'Check the network files and the access rules'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "access" -d 'Say who may plug in, and which line says so'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "doctor" -d 'Find what on this host breaks guests\' networking, and say what cures it'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "account" -d 'The helper, which has no NSS, asks for an account\'s number'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "schema" -d 'Print the JSON Schema of the network files, for editors'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "completions" -d 'Print the completions for a shell'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and not __fish_seen_subcommand_from up down run status list ports leases forward host exec tap attach detach cable wire snippet broker hook init check access doctor account schema completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and __fish_seen_subcommand_from forward" -f -a "add" -d 'Lead a port of this host to a guest, at once and after each restart'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and __fish_seen_subcommand_from forward" -f -a "rm" -d 'Close a forward that was added so'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and __fish_seen_subcommand_from forward" -f -a "list" -d 'List forwards: where they lead and how often they were used'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "add" -d 'Reserve a name and an address for the guest with this MAC'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "rm" -d 'Take a reservation back'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "list" -d 'List the reservations, those of the network\'s file too'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and __fish_seen_subcommand_from tap" -f -a "add" -d 'Make a TAP that stays: attached, up, and its owner\'s to open'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and __fish_seen_subcommand_from tap" -f -a "rm" -d 'Remove one'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and __fish_seen_subcommand_from wire" -f -a "switch" -d 'Become the VDE switch of a record'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and __fish_seen_subcommand_from wire" -f -a "pump" -d 'Carry frames between a bridge and the switch of a record'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and __fish_seen_subcommand_from wire" -f -a "plug" -d 'Plug all that hold ports into the switch of a record again'
complete -c vmnet -n "__fish_vmnet_using_subcommand help; and __fish_seen_subcommand_from hook" -f -a "libvirt" -d 'Be /etc/libvirt/hooks/qemu.d/vmnet or network.d/vmnet'
