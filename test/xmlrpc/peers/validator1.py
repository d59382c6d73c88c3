"""The methods of validator1, the old test suite for servers."""


def array_of_structs(structs):
    return sum(s["curly"] for s in structs)


def count_the_entities(text):
    return {
        "ctLeftAngleBrackets": text.count("<"),
        "ctRightAngleBrackets": text.count(">"),
        "ctAmpersands": text.count("&"),
        "ctApostrophes": text.count("'"),
        "ctQuotes": text.count('"'),
    }


def easy_struct(stooges):
    return stooges["moe"] + stooges["larry"] + stooges["curly"]


def echo_struct(struct):
    return struct


def many_types(*values):
    return values


def moderate_size_array(strings):
    return strings[0] + strings[-1]


def nested_struct(calendar):
    return easy_struct(calendar["2000"]["04"]["01"])


def simple_struct_return(number):
    return {"times10": number * 10, "times100": number * 100, "times1000": number * 1000}


METHODS = {
    "arrayOfStructsTest": array_of_structs,
    "countTheEntities": count_the_entities,
    "easyStructTest": easy_struct,
    "echoStructTest": echo_struct,
    "manyTypesTest": many_types,
    "moderateSizeArrayCheck": moderate_size_array,
    "nestedStructTest": nested_struct,
    "simpleStructReturnTest": simple_struct_return,
}
