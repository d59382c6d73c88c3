// Package laws checks what a compiler does not: which package may import
// which, who alone may import a dependency, that packages and exported names
// are documented, that files stay short, and that the prose beside the code is
// whole.
//
// [Load] reads a source tree once; the Check methods of [Tree] each hold one
// law against it and return what breaks it. The laws' own contents, such as
// the table of arrows, are arguments: they stand in laws_test.go at the root of
// the repository, where a reader looks for them.
package laws
