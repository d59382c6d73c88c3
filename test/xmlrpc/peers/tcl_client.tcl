# Calls the cases on its standard input with Tcl's xmlrpc.
package require xmlrpc

proc text {word} {
    encoding convertfrom utf-8 [binary format H* [string range $word 1 end]]
}

proc word {text} {
    binary scan [encoding convertto utf-8 $text] H* hex
    return x$hex
}

proc shift {} {
    set ::words [lassign $::words first]
    return $first
}

# make: takes one value from words, typed as the library wants it. A struct is the
# name of a global array.
proc make {} {
    switch [set kind [shift]] {
        array {
            set list {}
            for {set n [shift]} {$n > 0} {incr n -1} { lappend list [make] }
            return [list array $list]
        }
        struct {
            set name ::struct[incr ::structs]
            array set $name {}
            for {set n [shift]} {$n > 0} {incr n -1} {
                set key [text [shift]]
                set ${name}($key) [make]
            }
            return [list struct $name]
        }
        string { return [list string [text [shift]]] }
        base64 { return [list base64 [binary encode base64 [binary format H* [string range [shift] 1 end]]]] }
        date { return [list dateTime.iso8601 [shift]] }
        default { return [list $kind [shift]] }
    }
}

# show: the words for a result. Results have no types, so what was sent says
# whether they are lists or lists of pairs.
proc show {result like} {
    lassign $like kind value
    switch $kind {
        array {
            set out [list array [llength $result]]
            foreach v $result like $value { lappend out {*}[show $v $like] }
            return $out
        }
        struct {
            set out [list struct [llength $result]]
            foreach pair $result {
                lassign $pair name v
                if {![info exists ${value}($name)]} { return [list error [word "no member $name"]] }
                lappend out [word $name] {*}[show $v [set ${value}($name)]]
            }
            return $out
        }
        base64 { return [list scalar [word $result]] }
        default { return [list scalar [word $result]] }
    }
}

proc run {url method} {
    regexp {^(http://[^/]+)/(.*)$} $url {} server path
    set args {}
    set like [expr {$method eq "system.listMethods" ? {array {}} : {string {}}}]
    if {$method eq "system.multicall"} {
        # The library has no more of it than the method itself.
        array set ::first {methodName {string add} params {array {{int 3} {int 4}}}}
        array set ::second {methodName {string probe.fault} params {array {{int 1}}}}
        set args [list {array {{struct ::first} {struct ::second}}}]
        lassign [lindex [xmlrpc::call $server $path $method $args] 1] sum fault
        foreach pair $fault { lassign $pair name value; set got($name) $value }
        return [list array 2 scalar [word [lindex $sum 0]] fault $got(faultCode) [word $got(faultString)]]
    }
    if {[llength $::words] > 0} {
        if {[lindex $::words 0] in {nil i8}} { return lacks }
        set like [make]
        set args [list $like]
    }
    return [show [lindex [xmlrpc::call $server $path $method $args] 1] $like]
}

while {[gets stdin line] >= 0} {
    set words [lassign $line name url method]
    if {[catch {run $url $method} got]} { set got [list error [word $got]] }
    puts "{\"case\": \"$name\", \"got\": \"$got\"}"
    flush stdout
}
