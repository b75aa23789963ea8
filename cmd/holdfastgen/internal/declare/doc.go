// Package declare reads what the methods of interfaces declare: directives in their
// comments, the older ones too, and the tags of a struct that is bound to an interface.
//
// What cannot be meant is a problem with its file, line and column, and so is a directive
// that stands where nobody would read it: a misspelt policy is never no protection.
package declare
