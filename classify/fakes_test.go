package classify_test

import (
	"context"
	"database/sql/driver"
	"io"
	"log"
)

// discard keeps servers from logging what the tests do to them.
func discard() *log.Logger { return log.New(io.Discard, "", 0) }

// An emptyDatabase is a driver in which every query finds nothing.
type emptyDatabase struct{ connect error }

func (d emptyDatabase) Connect(context.Context) (driver.Conn, error) { return emptyConn{}, d.connect }
func (d emptyDatabase) Driver() driver.Driver                        { return emptyDriver{} }

type emptyDriver struct{}

func (emptyDriver) Open(string) (driver.Conn, error) { return emptyConn{}, nil }

type emptyConn struct{}

func (emptyConn) Prepare(string) (driver.Stmt, error) { return emptyStmt{}, nil }
func (emptyConn) Close() error                        { return nil }
func (emptyConn) Begin() (driver.Tx, error)           { return emptyTx{}, nil }

type emptyTx struct{}

func (emptyTx) Commit() error   { return nil }
func (emptyTx) Rollback() error { return nil }

type emptyStmt struct{}

func (emptyStmt) Close() error                               { return nil }
func (emptyStmt) NumInput() int                              { return -1 }
func (emptyStmt) Exec([]driver.Value) (driver.Result, error) { return driver.ResultNoRows, nil }
func (emptyStmt) Query([]driver.Value) (driver.Rows, error)  { return emptyRows{}, nil }

type emptyRows struct{}

func (emptyRows) Columns() []string         { return []string{"n"} }
func (emptyRows) Close() error              { return nil }
func (emptyRows) Next([]driver.Value) error { return io.EOF }
